/** PAINS T2: whatever an answer is compressed with, the client gets the upstream's bytes and the record has the same usage. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Exchange } from '../../src/lib/exchange.ts'
import { randomCuts, seeded } from '../frames/run.ts'
import { codings, flushed, type StreamCoding, streamCodings } from '../recordings/encodings.ts'
import { ownRecordings, type Recording } from '../recordings/recording.ts'
import { type ObservedProxy, startObservedProxy } from './harness.ts'

const recordings = ownRecordings()

let proxy: ObservedProxy
beforeAll(async () => {
  proxy = await startObservedProxy({ capture: 'observe' })
})
afterAll(() => proxy.close())

/** What of a record must not depend on the coding. */
function account({ exchange }: { exchange: Exchange }) {
  const { format, response, usageOutcome, usageReason, endReason, notes } = exchange
  return { format, response, usageOutcome, usageReason, endReason, notes, streamed: exchange.ending.streamed }
}

async function played(recording: Recording, encoded: Buffer, contentEncoding: string | undefined, seed: number) {
  const encoding = contentEncoding === undefined ? {} : { 'content-encoding': contentEncoding }
  const pieces = randomCuts(encoded, seeded(seed))
  const seen = await proxy.play({ ...recording, responseHeaders: { ...recording.responseHeaders, ...encoding }, pieces })
  return { ...account(seen), clientBytes: seen.received.equals(encoded), requestBytes: seen.arrived.equals(recording.requestBody) }
}

describe.each(recordings.map((recording, index) => [recording.name, recording, index] as const))('%s', (_, recording, index) => {
  it('is read the same and crosses unchanged in every coding', async () => {
    const plain = await played(recording, recording.body, undefined, index)
    expect({ usage: plain.response?.usage, format: plain.format, streamed: plain.streamed }).toEqual({
      usage: recording.expected?.facts.usage,
      format: recording.expected?.format,
      streamed: recording.framing !== 'whole',
    })
    expect([plain.clientBytes, plain.requestBytes]).toEqual([true, true])
    const inEach = Object.entries(codings).map(async ([coding, { header, encode }]) => ({
      coding,
      ...(await played(recording, encode(recording.body), header, index)),
    }))
    expect(await Promise.all(inEach)).toEqual(Object.keys(codings).map((coding) => ({ coding, ...plain })))
  })
})

/** The ends of a stream's events, for a server that flushes after each. */
function events(body: Buffer): readonly Buffer[] {
  const pieces: Buffer[] = []
  let start = 0
  for (let feed = body.indexOf('\n'); feed >= 0; feed = body.indexOf('\n', feed + 1)) {
    pieces.push(body.subarray(start, feed + 1))
    start = feed + 1
  }
  return [...pieces, body.subarray(start)].filter((piece) => piece.length > 0)
}

describe.each(streamCodings)('streams in %s, flushed line by line', (coding: StreamCoding) => {
  it('are read the same as plain ones', async () => {
    for (const [index, recording] of recordings.entries()) {
      if (recording.framing === 'whole') continue
      const plain = await played(recording, recording.body, undefined, index)
      const encoded = await flushed(coding, events(recording.body))
      expect({ name: recording.name, ...(await played(recording, encoded, coding, index)) }).toEqual({ name: recording.name, ...plain })
    }
  })
})

it('one exchange was recorded for each that was played', () => {
  const streams = recordings.filter(({ framing }) => framing !== 'whole').length
  expect(proxy.count()).toBe(recordings.length * (1 + Object.keys(codings).length) + streams * 2 * streamCodings.length)
})
