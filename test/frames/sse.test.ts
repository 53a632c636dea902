import { describe, expect, it } from 'vitest'
import { type SseSpelling, sse } from './encode.ts'
import { everyCut, pieces, run, type Seen } from './run.ts'

const events: readonly Seen[] = [
  [undefined, '{"a":"naïve 世界 🌍"}'],
  ['delta', 'one\ntwo\n\nthree'],
  [undefined, ''],
  ['größe', '{"usage":{"total_tokens":1}}'],
  [undefined, '[DONE]'],
]

const spellings: SseSpelling[] = [['\n'], ['\r\n'], ['\r'], ['\n', '\r\n', '\r'], ['\r', '\n']].flatMap((lineEnds) =>
  [true, false].flatMap((space) =>
    [true, false].flatMap((extras) =>
      (['whole', 'no blank line', 'no line end'] as const).map((ending) => ({
        lineEnds,
        space,
        extras,
        ending,
        byteOrderMark: space !== extras,
      })),
    ),
  ),
)

/** CR followed by LF is one line end, so that a mixture that puts the one before the other says something else. */
function isAmbiguous({ lineEnds }: SseSpelling): boolean {
  return lineEnds.includes('\r') && lineEnds.some((end) => end.startsWith('\n'))
}

describe('an event stream', () => {
  it.each(spellings.filter((spelling) => !isAmbiguous(spelling)))('spelt %j is read the same at every cut', (spelling) => {
    const body = sse(events, spelling)
    const wanted = JSON.stringify({ messages: events, notes: [] })
    for (const { how, chunks } of everyCut(body)) {
      const result = run('sse', chunks)
      if (JSON.stringify(result) !== wanted) expect({ how, ...result }).toEqual({ how, messages: events, notes: [] })
    }
  })

  it.each(spellings.filter(isAmbiguous))('in an ambiguous mixture of line ends (%j) is read the same at every cut', (spelling) => {
    const body = sse(events, spelling)
    const inOnePiece = run('sse', [body])
    for (const { how, chunks } of everyCut(body)) expect({ how, ...run('sse', chunks) }).toEqual({ how, ...inOnePiece })
  })

  it('may hold an event of several lines that arrive one by one', () => {
    const lines = Array.from({ length: 300 }, (_, index) => `data: line ${index} ${'x'.repeat(index)}\r\n`)
    const data = lines.map((line) => line.slice(6, -2)).join('\n')
    expect(
      run(
        'sse',
        [...lines, '\r\n'].map((line) => Buffer.from(line)),
      ),
    ).toEqual({ messages: [[undefined, data]], notes: [] })
  })

  it('hands over data that is not changed by what arrives before the event ends', () => {
    const body = Buffer.from('data: first\ndata: second\nid: 12345678\nid: 12345678\n\ndata: third\n\n')
    for (const bytes of [1, 2, 3, 5, 7, 11, 20]) {
      expect(run('sse', pieces(body, bytes)).messages).toEqual([
        [undefined, 'first\nsecond'],
        [undefined, 'third'],
      ])
    }
  })

  it('keeps nothing of a chunk that may be changed once the push has returned', () => {
    const body = Buffer.from('event: e\ndata: first\ndata: second\n\ndata: third\n\n')
    for (let bytes = 1; bytes < body.length; bytes++) {
      const result = run(
        'sse',
        (function* () {
          const chunk = Buffer.alloc(bytes)
          for (const piece of pieces(body, bytes)) {
            piece.copy(chunk)
            yield chunk.subarray(0, piece.length)
            chunk.fill('#')
          }
        })(),
      )
      expect(result.messages).toEqual([
        ['e', 'first\nsecond'],
        [undefined, 'third'],
      ])
    }
  })
})
