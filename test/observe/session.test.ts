import { describe, expect, it } from 'vitest'
import type { Outcome, Side } from '../../src/lib/exchange.ts'
import { SessionReader } from '../../src/observe/session.ts'
import { webSocketClose, webSocketFrame } from '../frames/encode.ts'
import { openingOf } from '../sinks/exchange-of.ts'

const webSocket = ['Upgrade', 'WebSocket', 'Connection', 'Upgrade']

function read(rawHeaders: readonly string[] = webSocket, path = '/v1/realtime') {
  const notes: string[] = []
  let now = 0
  const reader = new SessionReader({
    opening: openingOf({ method: 'GET', path, queryModel: 'gpt-realtime' }),
    rawHeaders,
    messageBytesMax: 1024 * 1024,
    elapsedMs: () => ++now,
    note: (text) => notes.push(text),
  })
  return { reader, notes }
}

const done = (id: string) =>
  JSON.stringify({ type: 'response.done', response: { id, status: 'completed', usage: { input_tokens: 2, output_tokens: 1 } } })
const mask = [1, 2, 3, 4] as const

describe('a session', () => {
  it('knows what both sides said, and when each response ended', () => {
    const { reader, notes } = read()
    reader.pushSent(webSocketFrame(JSON.stringify({ type: 'session.update', session: { temperature: 0.5 } }), { mask }))
    reader.push(Buffer.concat([webSocketFrame(done('r1')), webSocketFrame(done('r1')), webSocketFrame(done('r2'))]))
    reader.pushSent(webSocketClose(1000, 'bye', { mask }))
    reader.push(webSocketClose(1000))
    expect({ ...reader.session(), usage: reader.facts()?.usage, framing: reader.framing, format: reader.format(), notes }).toEqual({
      request: {
        ...{ operation: 'chat', usageExpected: true, stream: true, openaiApiType: 'realtime', model: 'gpt-realtime' },
        temperature: 0.5,
      },
      responseEndMs: [1, 2],
      close: { by: 'client', code: 1000 },
      usage: { inputTokens: 4, outputTokens: 2 },
      framing: 'websocket',
      format: 'openai-realtime',
      notes: [],
    })
  })

  it('reads JSON in binary messages where the API sends it so, and nowhere else', () => {
    const turn = JSON.stringify({ serverContent: { turnComplete: true }, usageMetadata: { promptTokenCount: 5, responseTokenCount: 2 } })
    const live = read(webSocket, '/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent').reader
    live.pushSent(webSocketFrame(JSON.stringify({ setup: { model: 'models/gemini-weir' } }), { mask, opcode: 2 }))
    live.push(Buffer.concat([webSocketFrame(turn, { opcode: 2 }), webSocketFrame(turn, { opcode: 2 })]))
    expect([live.session()?.request?.model, live.facts()?.usage]).toEqual(['gemini-weir', { inputTokens: 10, outputTokens: 4 }])
    const { reader } = read()
    reader.push(webSocketFrame(done('r1'), { opcode: 2 }))
    expect(reader.facts()?.usage).toBeUndefined()
  })

  it('remembers the moments of the responses that it remembers', () => {
    const { reader } = read()
    for (let n = 1; n <= 300; n++) reader.push(webSocketFrame(done(`r${n}`)))
    const moments = reader.session()?.responseEndMs ?? []
    expect([moments.length, moments[0], moments[127], reader.facts()?.responses?.last[0]?.id]).toEqual([128, 173, 300, 'r173'])
  })

  it('does not parse what a client sends by the megabyte, and says so', () => {
    const { reader, notes } = read()
    const long = JSON.stringify({ type: 'response.create', model: 'other', input: 'x'.repeat(300_000) })
    reader.pushSent(webSocketFrame(long, { mask }))
    reader.pushSent(webSocketFrame('', { opcode: 3, mask }))
    expect([reader.session()?.request, notes]).toEqual([undefined, ['request_limit_hit', 'request_parse_error']])
  })

  it('of another protocol is not read', () => {
    const { reader, notes } = read(['Upgrade', 'weir/2'])
    reader.push(webSocketFrame(done('r1')))
    reader.pushSent(webSocketFrame('{}', { mask }))
    expect([reader.streamed, reader.framing, reader.format(), reader.facts(), reader.session(), notes]).toEqual([
      ...[false, 'none', undefined, undefined, undefined, []],
    ])
  })

  it.each([
    ['permessage-bzip2', ['unsupported_encoding']],
    ['permessage-deflate, x-other', ['unsupported_encoding']],
    ['permessage-deflate; server_no_context_takeover; client_max_window_bits=12', []],
    ['', []],
  ])('with the extension %j notes %j', (extensions, expected) => {
    const { reader, notes } = read([...webSocket, 'Sec-WebSocket-Extensions', extensions])
    reader.push(webSocketFrame(done('r1')))
    expect([notes, reader.facts()?.usage !== undefined]).toEqual([expected, expected.length === 0])
  })

  it('with compression reads a message to its end before it ends', async () => {
    const { reader } = read([...webSocket, 'Sec-WebSocket-Extensions', 'permessage-deflate'])
    const { deflateRawSync, constants } = await import('node:zlib')
    const payload = deflateRawSync(done('r1'), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4)
    reader.push(webSocketFrame(payload, { reserved: 1 }))
    await new Promise<void>((resolve) => reader.end(resolve))
    expect(reader.facts()?.usage).toEqual({ inputTokens: 2, outputTokens: 1 })
  })
})

describe('the end of a session', () => {
  const answered = (endedBy: Side): Outcome => ({ kind: 'answered', endedBy })
  const left: Outcome = { kind: 'client-aborted' }
  const broke: Outcome = { kind: 'upstream-aborted' }
  const whole: Outcome = { kind: 'answered' }
  const cases: readonly [string, readonly [Side, number | undefined][], Outcome, Outcome][] = [
    [
      'a handshake',
      [
        ['client', 1000],
        ['upstream', 1000],
      ],
      answered('upstream'),
      whole,
    ],
    [
      'a handshake with a code of its own',
      [
        ['upstream', 4001],
        ['client', 4001],
      ],
      broke,
      whole,
    ],
    ['a normal Close from one side, then a broken connection', [['client', 1001]], left, whole],
    ['a Close without a code', [['upstream', undefined]], broke, whole],
    ['an abnormal Close from one side, then a broken connection', [['upstream', 1011]], broke, broke],
    ['no Close, the client ending first', [], answered('client'), left],
    ['no Close, the upstream ending first', [], answered('upstream'), broke],
    ['no Close and a broken connection', [], left, left],
    ['a stop of the sidecar', [['client', 1000]], { kind: 'sidecar-stopped' }, { kind: 'sidecar-stopped' }],
  ]
  it.each(cases)('after %s', (_name, closes, outcome, expected) => {
    const { reader } = read()
    for (const [side, code] of closes) {
      if (side === 'client') reader.pushSent(webSocketClose(code, '', { mask }))
      else reader.push(webSocketClose(code))
    }
    expect(reader.outcomeOf(outcome)).toStrictEqual(expected)
  })

  it('of another protocol is what the sockets say', () => {
    expect(read(['Upgrade', 'weir/2']).reader.outcomeOf(answered('client'))).toStrictEqual(whole)
    expect(read(['Upgrade', 'weir/2']).reader.outcomeOf(left)).toStrictEqual(left)
  })
})
