/**
 * Every recorded stream as other servers would have sent it: other line ends, comments, labels, encodings, cuts. What it used stays the same.
 * The corpora are read where they lie beside the project.
 */
import { deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { corporaBeside, corpusRecordings } from '../recordings/corpus.ts'
import { codings } from '../recordings/encodings.ts'
import { ownRecordings, type Recording } from '../recordings/recording.ts'
import { type ReadOptions, readThrough } from './read-through.ts'

interface Mutant {
  readonly recording: Recording
  readonly options?: ReadOptions
}

const sseText = (recording: Recording, change: (text: string) => string): Mutant => ({
  recording: { ...recording, body: Buffer.from(change(recording.body.toString('utf8'))) },
})
const labelled = (recording: Recording, type: string | undefined): Mutant => {
  const { 'content-type': _type, ...headers } = recording.responseHeaders
  return { recording: { ...recording, responseHeaders: type === undefined ? headers : { ...headers, 'content-type': type } } }
}

/** Of server-sent events alone. A lone CR in a text of an event would be cut by the change itself. */
const framings: Readonly<Record<string, (recording: Recording) => Mutant>> = {
  'line ends of CR LF': (one) => sseText(one, (text) => text.replace(/\r\n?|\n/g, '\r\n')),
  'line ends of CR': (one) => sseText(one, (text) => text.replace(/\r\n?|\n/g, '\r')),
  'a byte order mark': (one) => sseText(one, (text) => `\ufeff${text.replace(/^\ufeff/, '')}`),
  'comments between the events': (one) => sseText(one, (text) => `: hello\n\n${text.replace(/\n\n/g, '\n\n: ping\n\n')}`),
  'no blank after the colon': (one) => sseText(one, (text) => text.replace(/^(data|event|id): /gm, '$1:')),
  'ids and retries': (one) => sseText(one, (text) => text.replace(/^data:/gm, 'id: 7\nretry: 10\ndata:')),
  'no [DONE]': (one) => sseText(one, (text) => text.replace(/^data: ?\[DONE\]\s*$/gm, '')),
  'no blank line at the end': (one) => sseText(one, (text) => text.trimEnd()),
  'no type': (one) => labelled(one, undefined),
  'the type of plain text': (one) => labelled(one, 'text/plain; charset=utf-8'),
  'the type of any bytes': (one) => labelled(one, 'application/octet-stream'),
}

/** Of every framing. */
const cuts: Readonly<Record<string, (recording: Recording) => Mutant>> = {
  'one byte a piece': (recording) => ({ recording, options: { pieceBytes: 1 } }),
  'pieces of 17 bytes': (recording) => ({ recording, options: { pieceBytes: 17 } }),
  'pieces of 4099 bytes': (recording) => ({ recording, options: { pieceBytes: 4099 } }),
}

function encoded(coding: (typeof codings)[string]): (recording: Recording) => Mutant {
  return (one) => ({
    recording: {
      ...one,
      body: coding.encode(one.body),
      responseHeaders: { ...one.responseHeaders, 'content-encoding': coding.header as string },
    },
    options: { pieceBytes: 1000 },
  })
}

/** Other spellings of the same codings, and several in a row. */
const spelled: typeof codings = {
  'x-gzip': { header: 'x-gzip', encode: (body) => gzipSync(body) },
  'upper case': { header: 'GZIP', encode: (body) => gzipSync(body) },
  'gzip in two members': {
    header: 'gzip',
    encode: (body) => Buffer.concat([gzipSync(body.subarray(0, body.length >> 1)), gzipSync(body.subarray(body.length >> 1))]),
  },
  'gzip, then deflate': { header: 'gzip, deflate', encode: (body) => deflateSync(gzipSync(body)) },
  'identity by name': { header: 'identity', encode: (body) => body },
}

const encodings = Object.fromEntries(
  Object.entries({ ...codings, ...spelled }).flatMap(([name, coding]) => (coding.header === undefined ? [] : [[name, encoded(coding)]])),
)

const streams = [...ownRecordings(), ...corporaBeside().flatMap(corpusRecordings)].filter(
  ({ framing, status }) => framing !== 'whole' && status < 300,
)
/** A byte at a time takes a while. */
const bytesMax = 60_000

async function differing(of: readonly Recording[], mutate: (recording: Recording) => Mutant): Promise<readonly unknown[]> {
  const found: unknown[] = []
  for (const original of of.filter(({ body }) => body.length <= bytesMax)) {
    const { recording, options } = mutate(original)
    const [expected, got] = [await readThrough(original), await readThrough(recording, options)]
    const [usage, mutated] = [expected.response?.usage, got.response?.usage]
    if (JSON.stringify([expected.format, usage]) !== JSON.stringify([got.format, mutated]))
      found.push([original.name, got.format, usage, mutated])
  }
  return found
}

describe('a stream has the same usage with', () => {
  const events = streams.filter(({ framing }) => framing === 'sse')

  it.each(Object.entries(framings))('%s', async (_name, mutate) => {
    expect(events.length).toBeGreaterThan(30)
    expect(await differing(events, mutate)).toEqual([])
  })

  it.each(Object.entries({ ...cuts, ...encodings }))('%s', async (_name, mutate) => {
    expect(await differing(streams, mutate)).toEqual([])
  })
})
