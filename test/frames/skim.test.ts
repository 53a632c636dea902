import { describe, expect, it, vi } from 'vitest'
import { createFramer } from '../../src/observe/frames/choose.ts'
import { type SseSpelling, sse } from './encode.ts'
import { bytewise, everyCut, isSubsequence, isWanted, randomCuts, run, type Seen, seeded } from './run.ts'

const skim = (keys: readonly string[]) => ({ wantedKeys: () => keys })

const keys = ['usage', 'error']
const fragments = [
  ...['"usage":null', '"usage": null', '"usage":{"t":1}', '"usage" : 0', '"usage"\n:\n5', '"usage":\nnull', '"usage":nul', '"usage"'],
  ...[
    '"error":null',
    '"error":"x"',
    '"error"\t:\t[]',
    '\\"usage\\":1',
    '"usages":1',
    '"my usage":1',
    '"a":"usage"',
    'usage":3',
    '"us\nage":1',
  ],
  ...['[DONE]', ' [DONE]', '"delta":"世界"', '"x":"[DONE]"', 'é'.repeat(40), '', '\n', '\n\n', '{', '}', ':', ',', ' '],
]

const lineEndings = [['\n'], ['\n'], ['\r\n'], ['\r'], ['\n', '\r\n'], ['\r\n', '\r'], ['\n', '\r', '\r\n']]

function randomStream(random: () => number): Buffer {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const events = Array.from({ length: Math.floor(random() * 12) }, (): Seen => {
    const data = Array.from({ length: Math.floor(random() * 5) }, () => pick(fragments)).join('')
    return [random() < 0.3 ? pick(['delta', 'usage', '"usage":{}']) : undefined, data]
  })
  const spelling: SseSpelling = {
    lineEnds: pick(lineEndings),
    space: random() < 0.5,
    byteOrderMark: random() < 0.2,
    extras: random() < 0.3,
    ending: pick(['whole', 'whole', 'no blank line', 'no line end']),
  }
  return sse(events, spelling)
}

describe('skimming', () => {
  it('loses no message that has a wanted key, however the body is cut, and invents none', () => {
    const random = seeded(42)
    let dropped = 0
    for (let turn = 0; turn < 700; turn++) {
      const body = randomStream(random)
      const all = run('sse', [body]).messages
      const wanted = all.filter((message) => isWanted(message, keys))
      for (const chunks of [[body], bytewise(body), ...Array.from({ length: 6 }, () => randomCuts(body, random))]) {
        const { messages } = run('sse', chunks, skim(keys))
        const sound = isSubsequence(wanted, messages) && isSubsequence(messages, all)
        if (!sound) expect({ body: body.toString(), cuts: chunks.map(String), messages }).toEqual({ wanted, all })
        dropped += all.length - messages.length
      }
    }
    expect(dropped).toBeGreaterThan(5_000)
  })

  it('drops and keeps the same messages at every cut', () => {
    const kept: Seen[] = [
      ['a', '{"usage" : {"t":1}}'],
      [undefined, '{"x":[{"usage":null},{"usage":0}]}'],
      [undefined, '{"error":"x"}'],
      [undefined, '[DONE]'],
    ]
    const dropped: Seen[] = [
      [undefined, '{"usage":null,"error": null}'],
      ['usage', '{"text":"\\"usage\\":1"}'],
      ['b', '世界'],
    ]
    const events = kept.flatMap((message, index) => [...dropped.slice(index % 3), message, ...dropped])
    for (const lineEnds of [['\n'], ['\r\n'], ['\r'], ['\r\n', '\n']]) {
      const body = sse(events, { lineEnds, space: true, byteOrderMark: true, extras: false, ending: 'whole' })
      for (const { how, chunks } of everyCut(body))
        expect({ how, ...run('sse', chunks, skim(keys)) }).toEqual({ how, messages: kept, notes: [] })
    }
  })

  // Usage absent, null, zero, a placeholder, cumulative, in the finish chunk, after [DONE], twice.
  const chunk = (rest: string) => `{"choices":[{"delta":{"content":"hi"}}]${rest}}`
  it.each([
    ['absent', [chunk(''), '[DONE]'], ['[DONE]']],
    ['null', [chunk(',"usage":null'), chunk(',"usage": null')], []],
    ['zero', [chunk(''), chunk(',"usage":{"prompt_tokens":0}')], [chunk(',"usage":{"prompt_tokens":0}')]],
    ['an empty object', [chunk(''), chunk(',"usage":{}')], [chunk(',"usage":{}')]],
    ['cumulative', [chunk(',"usage":{"t":1}'), chunk(',"usage":{"t":2}')], [chunk(',"usage":{"t":1}'), chunk(',"usage":{"t":2}')]],
    ['after [DONE]', ['[DONE]', chunk(',"usage":{"t":1}')], ['[DONE]', chunk(',"usage":{"t":1}')]],
    ['null and then an object', [chunk(',"usage":null,"x_groq":{"usage":{"t":1}}')], [chunk(',"usage":null,"x_groq":{"usage":{"t":1}}')]],
  ])('with usage %s keeps just the messages that have it', (_, data, kept) => {
    const text = (messages: readonly string[]) => messages.map((message): Seen => [undefined, message])
    const body = sse(text(data), { lineEnds: ['\n'], space: true, byteOrderMark: false, extras: false, ending: 'whole' })
    expect(run('sse', [body], skim(['usage']))).toEqual({ messages: text(kept), notes: [] })
    expect(run('sse', bytewise(body), skim(['usage']))).toEqual({ messages: text(kept), notes: [] })
  })

  it('begins and ends where wantedKeys says, at the next push', () => {
    const answers = [undefined, ['usage'], ['error'], [], undefined]
    let push = 0
    const wantedKeys = () => answers[push++]
    const body = Buffer.from('data: 1\n\ndata: {"usage":1}\n\ndata: {"error":1}\n\ndata: [DONE]\n\n')
    const { messages } = run('sse', [body, body, body, body, body], { wantedKeys })
    const all = ['1', '{"usage":1}', '{"error":1}', '[DONE]']
    expect(messages.map(([, data]) => data)).toEqual([...all, '{"usage":1}', '[DONE]', '{"error":1}', '[DONE]', '[DONE]', ...all])
  })

  it('reads keys that hold signs with a meaning in patterns, and letters beyond ASCII', () => {
    const strange = ['a.b*', 'größe', 'q"\\']
    const events = ['{"a.b*":1}', '{"axb":1}', '{"größe":1}', '{"q\\"\\\\":1}', '{"größe":null}'].map((data): Seen => [undefined, data])
    const body = sse(events, { lineEnds: ['\n'], space: true, byteOrderMark: false, extras: false, ending: 'whole' })
    expect(run('sse', [body], skim(strange)).messages).toEqual([events[0], events[2], events[3]])
  })

  it('steps over events without making anything of them', () => {
    const body = Buffer.from(`${'data: {"usage":null}\n\n'.repeat(700)}data: {"usage":1}\n\n${'data: {"usage":null}\r\n\r\n'.repeat(700)}`)
    const made = vi.spyOn(Buffer, 'from')
    try {
      const { messages } = run('sse', [body], skim(['usage']))
      expect(made.mock.calls.length).toBeLessThan(3) // for the one that is wanted
      expect(messages).toEqual([[undefined, '{"usage":1}']])
    } finally {
      vi.restoreAllMocks()
    }
  })

  it('takes a byte order mark for one only where the body begins', () => {
    const body = Buffer.from('data: 1\n\n\ufeffdata: {"usage":1}\n\ndata: {"usage":2}\n\n')
    expect(run('sse', [body], skim(['usage'])).messages).toEqual([[undefined, '{"usage":2}']])
  })

  it('steps over nothing before the end of an event that was too long', () => {
    const chunks = [`data: ${'x'.repeat(100)}\n`, 'data: x\n\ndata: y\n\n', 'data: {"usage":1}\n\n'].map((text) => Buffer.from(text))
    expect(run('sse', chunks, { ...skim(['usage']), messageBytesMax: 64 })).toEqual({
      messages: [[undefined, '{"usage":1}']],
      notes: ['limit_hit'],
    })
  })

  it('takes what it steps over for an event stream', () => {
    expect(run('sse', [Buffer.from('data: 1\n\nnonsense\n\nnonsense\n')], skim(['usage']))).toEqual({ messages: [], notes: [] })
  })

  it('filters the elements of an array and the lines of NDJSON', () => {
    const wanted: Seen[] = [[undefined, '{"usage":{"t":1}}']]
    const array = Buffer.from('[{"usage":null},{"usage":{"t":1}},{"a":"usage"}]')
    const lines = Buffer.from('{"usage":null}\n{"usage":{"t":1}}\n{"a":"usage"}\n')
    for (const { chunks } of everyCut(array)) expect(run('json-array', chunks, skim(['usage'])).messages).toEqual(wanted)
    for (const { chunks } of everyCut(lines)) expect(run('ndjson', chunks, skim(['usage'])).messages).toEqual(wanted)
  })

  it('drops nothing where keys cannot be seen or the body is one message', () => {
    expect(run('whole', [Buffer.from('{"a":1}')], skim(['usage'])).messages).toEqual([[undefined, '{"a":1}']])
  })

  it('asks for the wanted keys once per push', () => {
    const wantedKeys = vi.fn(() => ['usage'])
    const framer = createFramer('sse', { onMessage: () => {}, onNote: () => {}, wantedKeys })
    for (let push = 0; push < 3; push++) framer.push(Buffer.from('data: 1\n\ndata: 2\n\n'))
    expect(wantedKeys).toHaveBeenCalledTimes(3)
  })
})
