import { describe, expect, it } from 'vitest'
import type { Exchange, Opening } from '../../src/lib/exchange.ts'
import type { Packed } from '../../src/recorder/batch.ts'
import { createUnpacker, type UnpackOptions } from '../../src/recorder/unpack.ts'
import { endingOf, exchangeOf, openingOf } from '../sinks/exchange-of.ts'

const text = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Buffer.from(bytes).toString())

/** Reads a body as its text, and concludes by writing down what it was given. */
function unpackerOf(overrides: Partial<UnpackOptions<string>> = {}) {
  const calls: unknown[] = []
  const failures: unknown[] = []
  let unknown = 0
  const { unpack, openings } = createUnpacker<string>({
    readRequest: (opening, body) => `${opening.id}: ${text(body)}`,
    conclude(opening, ending, reading, responseBody) {
      calls.push({ id: opening.id, reading, responseBody: text(responseBody) })
      return exchangeOf({ opening, ending })
    },
    nameOf: () => undefined,
    onUnknown: () => unknown++,
    onFailure: (error) => failures.push((error as Error).message),
    ...overrides,
  })
  return { unpack, openings, calls, failures, unknown: () => unknown }
}

const nothing: Packed = { opened: [], requests: [], ended: [], bytes: new Uint8Array(0) }
const a = openingOf({ id: 'a' })
const idsOf = (exchanges: readonly Exchange[]) => exchanges.map(({ opening }) => opening.id)

describe('a request', () => {
  it('that opens and ends in one batch is concluded with both its bodies', () => {
    const { unpack, calls } = unpackerOf()
    const ended = [{ opening: a, ending: endingOf({ id: 'a' }), requestBody: [0, 3] as const, responseBody: [3, 4] as const }]
    const batch = unpack({ ...nothing, ended, bytes: Buffer.from('askgive') })
    expect([batch.opened, idsOf(batch.ended)]).toEqual([[], ['a']])
    expect(calls).toEqual([{ id: 'a', reading: 'a: ask', responseBody: 'give' }])
  })

  it('that opens, is read and ends in three batches is the same', () => {
    const { unpack, openings, calls } = unpackerOf()
    expect(unpack({ ...nothing, opened: [a] })).toEqual({ opened: [a], ended: [] })
    expect(openings()).toEqual([a])
    expect(unpack({ ...nothing, requests: [{ id: 'a', body: [1, 3] }], bytes: Buffer.from('-ask-') })).toEqual({ opened: [], ended: [] })
    const batch = unpack({ ...nothing, ended: [{ ending: endingOf({ id: 'a' }), responseBody: [0, 4] }], bytes: Buffer.from('give') })
    expect([idsOf(batch.ended), openings()]).toEqual([['a'], []])
    expect(calls).toEqual([{ id: 'a', reading: 'a: ask', responseBody: 'give' }])
  })

  it('that was sent anew with another body after it was read is concluded with that one', () => {
    const { unpack, calls } = unpackerOf()
    unpack({ ...nothing, opened: [a], requests: [{ id: 'a', body: [0, 5] }], bytes: Buffer.from('asked') })
    unpack({ ...nothing, ended: [{ ending: endingOf({ id: 'a' }), requestBody: [0, 3] }], bytes: Buffer.from('own') })
    expect(calls).toEqual([{ id: 'a', reading: 'a: own', responseBody: undefined }])
  })

  it('has the readable name of its caller from its opening on, also when it cannot be read', () => {
    const names: Readonly<Record<string, string>> = { 'key:1': 'search-team', alice: 'sales', 'search-team': 'renamed twice' }
    const { unpack } = unpackerOf({
      nameOf: (caller) => names[caller],
      conclude(opening, ending) {
        if (opening.id === 'b') throw new Error('unreadable')
        return exchangeOf({ opening, ending, caller: ending.caller ?? opening.caller })
      },
    })
    const opened = ['a', 'b', 'c', 'd'].map((id) => openingOf({ id, caller: id === 'd' ? 'bob' : 'key:1' }))
    const ended = opened.map(({ id }) => ({ ending: endingOf({ id, ...(id === 'c' ? { caller: 'alice' } : {}) }) }))
    const late = { opening: openingOf({ id: 'e', caller: 'key:1' }), ending: endingOf({ id: 'e' }) }
    expect(unpack({ ...nothing, opened }).opened.map(({ caller }) => caller)).toEqual(['search-team', 'search-team', 'search-team', 'bob'])
    expect(unpack({ ...nothing, ended: [...ended, late] }).ended.map(({ caller }) => caller)).toEqual([
      ...['search-team', 'search-team', 'sales', 'bob', 'search-team'],
    ])
  })

  it('without bodies is concluded without', () => {
    const { unpack, calls } = unpackerOf()
    unpack({ ...nothing, ended: [{ opening: a, ending: endingOf({ id: 'a' }) }] })
    expect(calls).toEqual([{ id: 'a', reading: 'a: undefined', responseBody: undefined }])
  })

  it('that ends is forgotten', () => {
    const { unpack, unknown } = unpackerOf()
    unpack({ ...nothing, opened: [a] })
    unpack({ ...nothing, ended: [{ ending: endingOf({ id: 'a' }) }] })
    expect(unpack({ ...nothing, ended: [{ ending: endingOf({ id: 'a' }) }] })).toEqual({ opened: [], ended: [] })
    expect(unknown()).toBe(1)
  })
})

describe('a reading that throws', () => {
  const throwing = (message: string) => () => {
    throw new Error(message)
  }
  const minimal = (opening: Opening, ending = endingOf({ id: 'a' })): Exchange => ({
    opening,
    ending,
    endReason: 'completed',
    inference: false,
    errorType: undefined,
    notes: ['observer_failed'],
  })

  it('of the answer leaves one minimal record', () => {
    const { unpack, failures } = unpackerOf({ conclude: throwing('answer') })
    const batch = unpack({ ...nothing, ended: [{ opening: a, ending: endingOf({ id: 'a' }) }] })
    expect(batch.ended).toEqual([minimal(a)])
    expect(failures).toEqual(['answer'])
  })

  it('of the request leaves one minimal record', () => {
    const { unpack, failures } = unpackerOf({ readRequest: throwing('request') })
    unpack({ ...nothing, opened: [a], requests: [{ id: 'a', body: [0, 0] }] })
    expect(unpack({ ...nothing, ended: [{ ending: endingOf({ id: 'a' }) }] }).ended).toEqual([minimal(a)])
    expect(failures).toEqual(['request', 'request'])
  })

  it.each([
    [{ kind: 'answered' }, 500, 'completed', '500'],
    [{ kind: 'refused', reason: 'x' }, 413, 'refused', '413'],
    [{ kind: 'unreachable', reason: 'dns' }, 502, 'unreachable', 'dns'],
    [{ kind: 'upstream-aborted' }, 200, 'upstream-aborted', 'upstream_aborted'],
    [{ kind: 'client-aborted' }, undefined, 'client-aborted', undefined],
    [{ kind: 'sidecar-stopped' }, 200, 'sidecar-stopped', undefined],
  ] as const)('keeps how it ended: %o with %s', (outcome, status, endReason, errorType) => {
    const ending = endingOf({ id: 'a', outcome, status, notes: ['limit_hit', 'observer_failed'] })
    const { unpack } = unpackerOf({ conclude: throwing('x') })
    const batch = unpack({ ...nothing, ended: [{ opening: a, ending }] })
    expect(batch.ended).toEqual([{ ...minimal(a, ending), endReason, errorType, notes: ['limit_hit', 'observer_failed'] }])
  })
})
