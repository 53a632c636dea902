/** PAINS T1: every stream of every format is read the same, wherever its bytes are cut and however its events are spelt. */
import { describe, expect, it } from 'vitest'
import { createFold } from '../../src/observe/fold.ts'
import { createFramer } from '../../src/observe/frames/choose.ts'
import { type SseSpelling, sse } from '../frames/encode.ts'
import { everyCut, randomCuts, run, seeded } from '../frames/run.ts'
import { ownRecordings, type Recording } from '../recordings/recording.ts'

const streams = ownRecordings().filter(({ framing, expected }) => framing !== 'whole' && expected !== undefined)

function read({ method, path, responseHeaders, framing }: Recording, chunks: Iterable<Buffer>): string {
  const fold = createFold(method, path.split('?')[0] ?? path, responseHeaders)
  const notes: string[] = []
  const framer = createFramer(framing, {
    onMessage: ({ event, data }) => fold.message(event, data),
    onNote: (note) => notes.push(note),
    wantedKeys: fold.wantedKeys,
  })
  for (const chunk of chunks) framer.push(chunk)
  framer.end()
  return JSON.stringify({ format: fold.format, facts: fold.facts(), notes: [...notes, ...fold.notes] })
}

describe.each(streams.map((stream) => [stream.name, stream] as const))('%s', (_, stream) => {
  const whole = read(stream, [stream.body])

  it('says what the fixture says', () => {
    expect(JSON.parse(whole)).toEqual({ format: stream.expected?.format, facts: stream.expected?.facts, notes: [] })
  })

  it('is read the same at every cut', () => {
    for (const { how, chunks } of everyCut(stream.body)) {
      const result = read(stream, chunks)
      if (result !== whole) expect({ how, result }).toEqual({ how, result: whole })
    }
  })
})

const spellings: readonly SseSpelling[] = [['\n'], ['\r\n'], ['\r']].flatMap((lineEnds) =>
  [true, false].flatMap((space) =>
    [true, false].flatMap((extras) =>
      (['whole', 'no line end'] as const).map((ending) => ({ lineEnds, space, extras, ending, byteOrderMark: space !== extras })),
    ),
  ),
)

describe('every stream of server-sent events', () => {
  it.each(spellings)('says the same when spelt %j', (spelling) => {
    for (const [index, stream] of streams.entries()) {
      if (stream.framing !== 'sse') continue
      const events = run('sse', [stream.body]).messages
      // Each event's JSON over several lines, as data of several lines is: the line ends between are white space.
      const broken = events.map(([event, data]) => [event, data.replace(/^\{/, '{\n')] as const)
      const random = seeded(index)
      for (const body of [sse(events, spelling), sse(broken, spelling)]) {
        for (const chunks of [[body], randomCuts(body, random), randomCuts(body, random)]) {
          expect({ name: stream.name, read: read(stream, chunks) }).toEqual({ name: stream.name, read: read(stream, [stream.body]) })
        }
      }
    }
  })

  it('survives characters of several bytes in every place', () => {
    for (const stream of streams) {
      if (stream.framing !== 'sse') continue
      const events = run('sse', [stream.body]).messages.map(
        ([event, data]) => [event, data.replace(/\{(?=")/, '{"ключ":"世界 🌍 é",')] as const,
      )
      const body = sse(events, spellings[0] as SseSpelling)
      const expected = read(stream, [stream.body])
      for (let at = 0; at <= body.length; at += 5) expect(read(stream, [body.subarray(0, at), body.subarray(at)])).toBe(expected)
    }
  })
})
