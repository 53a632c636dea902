import { describe, expect, it } from 'vitest'
import { askForUsage, createAskScan } from '../../src/proxy/inject/ask.ts'

/** Of a body that comes in pieces of so many bytes. */
function ask(body: Buffer, pieceBytes = body.length) {
  const scan = createAskScan()
  const pieces: Buffer[] = []
  for (let from = 0; from < body.length; from += pieceBytes) pieces.push(body.subarray(from, from + pieceBytes))
  for (const piece of pieces) scan.push(piece)
  const asked = askForUsage(pieces, scan)
  return asked && { model: asked.model, body: Buffer.concat(asked.body) }
}

/** However it was cut. */
function asked(text: string): string | undefined {
  const body = Buffer.from(text)
  const whole = ask(body)?.body.toString()
  for (const pieceBytes of [1, 2, 3, 7]) expect(ask(body, pieceBytes)?.body.toString()).toBe(whole)
  return whole
}

describe('asking for usage', () => {
  it.each([
    ['{"stream":true}', '{"stream_options":{"include_usage":true},"stream":true}'],
    ['\n { "model" : "m", "stream" : true }\n', '\n {"stream_options":{"include_usage":true}, "model" : "m", "stream" : true }\n'],
    ['{"stream":true,"stream_options":{}}', '{"stream":true,"stream_options":{"include_usage":true}}'],
    ['{"stream":true,"stream_options":null}', '{"stream":true,"stream_options":{"include_usage":true}}'],
    ['{"stream":true,"stream_options":{"x":1}}', '{"stream":true,"stream_options":{"include_usage":true,"x":1}}'],
    ['{"stream":true,"stream_options":{"include_usage":false}}', '{"stream":true,"stream_options":{"include_usage":true}}'],
    [
      '{"stream":true,"stream_options":{"include_usage": null ,"x":[1,{"a":"]}"}]}}',
      '{"stream":true,"stream_options":{"include_usage": true ,"x":[1,{"a":"]}"}]}}',
    ],
    ['{"a":"\\"stream\\":false,}","stream":true}', '{"stream_options":{"include_usage":true},"a":"\\"stream\\":false,}","stream":true}'],
    ['{"stream":true,"usage":{"include":false}}', '{"stream_options":{"include_usage":true},"stream":true,"usage":{"include":false}}'],
    ['{"stream":true,"usage":1}', '{"stream_options":{"include_usage":true},"stream":true,"usage":1}'],
    ['{"str\\u0065am":true}', '{"stream_options":{"include_usage":true},"str\\u0065am":true}'],
  ])('changes %j in one place', (body, expected) => {
    expect(asked(body)).toBe(expected)
    expect(JSON.parse(expected).stream_options.include_usage).toBe(true)
  })

  it.each([
    ['a client that asked itself', '{"stream":true,"stream_options":{"include_usage":true}}'],
    ['a client that asked in OpenRouter’s words', '{"stream":true,"usage":{"include":true}}'],
    ['no stream', '{"model":"m"}'],
    ['stream: false', '{"stream":false}'],
    ['a stream only inside a string', '{"messages":[{"content":"\\"stream\\": true"}]}'],
    ['a stream only further in', '{"a":{"stream":true}}'],
    ['stream twice', '{"stream":true,"stream":false}'],
    ['options twice', '{"stream":true,"stream_options":{},"stream_options":{}}'],
    ['options of a strange kind', '{"stream":true,"stream_options":[]}'],
    ['usage of a strange kind', '{"stream":true,"stream_options":{"include_usage":"yes"}}'],
    ['an array', '[{"stream":true}]'],
    ['no JSON', 'stream=true'],
    ['half a body', '{"stream":true,"messages":[{"content":"x'],
    ['nothing', ''],
  ])('leaves alone: %s', (_, body) => {
    expect(asked(body)).toBeUndefined()
  })

  it('never throws, and edits only what stays JSON with all its members, on 20,000 mutations', () => {
    const seed =
      '{"model":"m\\u00e4","stream":true,"stream_options":{"a":[1,2,{"b":"}"}]},"messages":[{"role":"user","content":"hi \\"there\\""}]}'
    let state = 12345
    const random = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return state % below
    }
    let edited = 0
    for (let round = 0; round < 20_000; round++) {
      const bytes = Buffer.from(seed)
      for (let i = random(4); i >= 0; i--)
        bytes[random(bytes.length)] = random(4) === 0 ? random(256) : (seed.charCodeAt(random(seed.length)) as number)
      let before: unknown
      try {
        before = JSON.parse(bytes.toString())
      } catch {
        ask(bytes, 5)
        continue
      }
      const after = ask(bytes, 5)
      if (after === undefined) continue
      edited++
      const { stream_options, ...rest } = JSON.parse(after.body.toString())
      const { stream_options: had, ...restBefore } = before as Record<string, unknown>
      expect(rest).toEqual(restBefore)
      expect(stream_options).toEqual({ ...(had as object | null), include_usage: true })
    }
    expect(edited).toBeGreaterThan(100)
  })

  it('gives the model as the body says it', () => {
    expect(ask(Buffer.from('{"model":"m-1","stream":true}'))?.model).toBe('"m-1"')
  })
})
