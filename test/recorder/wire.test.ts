import { expect, it } from 'vitest'
import type { Packed } from '../../src/recorder/batch.ts'
import { fromWire, toWire } from '../../src/recorder/wire.ts'
import { endingOf, openingOf } from '../sinks/exchange-of.ts'

it('a batch is the same on the other side of the threads', () => {
  const packed: Packed = {
    opened: [openingOf({ id: 'a', parentSpanId: 'b7ad6b7169203331' }), openingOf({ id: 'b' })],
    requests: [{ id: 'a', body: [0, 3] }],
    ended: [
      {
        opening: openingOf({ id: 'c' }),
        ending: endingOf({ id: 'c', drained: { ms: 1, bytes: 2 } }),
        requestBody: [3, 4],
        responseBody: undefined,
      },
      { opening: undefined, ending: endingOf({ id: 'd', notes: ['limit_hit'] }), requestBody: undefined, responseBody: [7, 0] },
    ],
    bytes: new Uint8Array([1, 2, 3]),
  }
  expect(fromWire(structuredClone(toWire(packed)))).toEqual(packed)
})
