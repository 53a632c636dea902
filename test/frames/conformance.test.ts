import { describe, expect, it } from 'vitest'
import type { Framing } from '../../src/lib/exchange.ts'
import { createFramer } from '../../src/observe/frames/choose.ts'
import { event, webSocketFrame } from './encode.ts'
import { fixtures } from './fixtures.ts'
import { everyCut, run } from './run.ts'

/** Results are compared as text first: building a failure's difference for each of a few hundred cuts would take long. */
function expectAtEveryCut(framing: Framing, body: Buffer, expected: object): void {
  const wanted = JSON.stringify(expected)
  for (const { how, chunks } of everyCut(body)) {
    const result = run(framing, chunks)
    if (JSON.stringify(result) !== wanted) expect({ how, ...result }).toEqual({ how, ...expected })
  }
}

describe.each([...new Set(fixtures.map(({ framing }) => framing))])('the %s framer', (framing) => {
  it.each(fixtures.filter((fixture) => fixture.framing === framing))('reads $name the same at every cut', ({ body, messages, notes }) => {
    expect(run(framing, [body])).toEqual({ messages, notes })
    expectAtEveryCut(framing, body, { messages, notes })
  })

  it('takes plain Uint8Arrays', () => {
    for (const { body, messages, notes } of fixtures.filter((fixture) => fixture.framing === framing)) {
      const copy = new Uint8Array(body.length + 2)
      copy.set(body, 1)
      expect(run(framing, [copy.subarray(1, -1)])).toEqual({ messages, notes })
    }
  })
})

describe('a message that arrives in one piece', () => {
  const padding = Buffer.from('padding')
  const inOnePiece: readonly (readonly [Framing, Buffer, string])[] = [
    ['ndjson', Buffer.from('{"a":1}\n'), '{"a":1}'],
    ['json-array', Buffer.from('[{"a":1}]'), '{"a":1}'],
    ['eventstream', event('e', '{"a":1}'), '{"a":1}'],
    ['websocket', webSocketFrame('{"a":1}'), '{"a":1}'],
    ['whole', Buffer.from('{"a":1}'), '{"a":1}'],
  ]

  it.each(inOnePiece)('is handed over by %s as a view of its chunk', (framing, body, text) => {
    const chunk = Buffer.concat([padding, body]).subarray(padding.length)
    const seen: object[] = []
    const framer = createFramer(framing, {
      onMessage: ({ data }) => seen.push({ block: data.buffer, offset: data.byteOffset, text: data.toString() }),
      onNote: () => {},
    })
    framer.push(chunk)
    framer.end()
    expect(seen).toEqual([{ block: chunk.buffer, offset: chunk.byteOffset + chunk.indexOf(text), text }])
    expect(seen[0]).toHaveProperty('block', chunk.buffer)
  })
})

describe('messages', () => {
  it.each([
    ['sse', 'data: 1\n\n', 'data: 2\n\n'],
    ['ndjson', '{"a":1}\n', '{"b":2}\n'],
    ['json-array', '[{"a":1}', ',{"b":2}'],
  ] as const)('of %s are emitted as soon as their last byte is there', (framing, first, second) => {
    const counts: number[] = []
    let count = 0
    const framer = createFramer(framing, { onMessage: () => count++, onNote: () => {} })
    for (const chunk of [first.slice(0, -1), first.slice(-1), second.slice(0, -1), second.slice(-1)]) {
      framer.push(Buffer.from(chunk))
      counts.push(count)
    }
    expect(counts).toEqual([0, 1, 1, 2])
  })

  it('of event-stream are emitted as soon as their last byte is there', () => {
    const body = event('e', '{}')
    let count = 0
    const framer = createFramer('eventstream', { onMessage: () => count++, onNote: () => {} })
    framer.push(body.subarray(0, -1))
    expect(count).toBe(0)
    framer.push(body.subarray(-1))
    expect(count).toBe(1)
  })

  it('are not looked for where there is no body to frame', () => {
    expect(run('none', [Buffer.from('data: 1\n\n{}')])).toEqual({ messages: [], notes: [] })
  })
})
