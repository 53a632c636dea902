/** Injection over real sockets: what the upstream is asked, what the client sees, and what is remembered (PAINS T6). */
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createCapabilities } from '../../src/proxy/inject/capabilities.ts'
import { createUsageInjector } from '../../src/proxy/inject/editor.ts'
import { rawClient, rawUpstream, split, startProxy, until } from '../proxy/harness.ts'

const event = (data: string) => `data: ${data}\n\n`
const content = event('{"id":"c1","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}')
const usage = event('{"id":"c1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}')
const done = event('[DONE]')
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
const sse = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'
const compressed = sse.replace('\r\n\r\n', '\r\nContent-Encoding: gzip\r\n\r\n')
const stream = `${sse}${chunk(content)}${chunk(usage)}${chunk(done)}0\r\n\r\n`

/** The bodies of a raw chunked message, joined. */
const unchunked = (body: string) => body.replace(/[0-9a-f]+\r\n([\s\S]*?)\r\n(?=[0-9a-f]+\r\n)/g, '$1').replace(/0\r\n\r\n$/, '')

const post = (path: string, body: string, headers = '') =>
  `POST ${path} HTTP/1.1\r\nHost: me\r\nContent-Type: application/json\r\nAccept-Encoding: gzip, br\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`

async function scene(answer: (body: string, head: string) => string = () => stream, knows = true) {
  const arrived: { head: string; body: string }[] = []
  const upstream = await rawUpstream((text, socket) => {
    const { head, body } = split(text)
    arrived.push({ head, body })
    const wire = answer(body, head)
    if (wire === 'close') socket.destroy()
    else socket.write(wire)
  })
  let now = 0
  const capabilities = createCapabilities(() => now)
  // Known not to send usage unasked, but where a test is about that.
  for (const path of knows ? ['/v1/chat/completions', '/x/chat/completions', '/v1/completions'] : []) {
    for (let n = 0; n < 2; n++) capabilities.saw(`${upstream.url}${path}`, false)
  }
  const proxy = await startProxy(upstream.url, { editor: createUsageInjector(capabilities) })
  const client = rawClient(proxy.port)
  let sent = 0
  return {
    arrived,
    proxy,
    pass: (ms: number) => void (now += ms),
    /** Sends one request on the one connection, and gives what the client and the record see of it. */
    async send(request: string) {
      const before = client.received().length
      client.socket.write(request)
      sent++
      const seen = await proxy.ended(sent)
      await client.until((text) => text.length > before && /(0\r\n\r\n|\})$/.test(text))
      const received = split(client.received().slice(before))
      return { status: received.head.split(' ')[1], head: received.head, body: unchunked(received.body), notes: seen.notes, seen }
    },
  }
}

const asking = '"stream_options":{"include_usage":true}'

describe('a stream that did not ask for usage', () => {
  it.each([
    ['without options', '/v1/chat/completions', '{"stream":true}', `{${asking},"stream":true}`],
    ['with empty options', '/v1/chat/completions', '{"stream":true,"stream_options":{}}', `{"stream":true,${asking}}`],
    ['that said false', '/x/chat/completions', '{"stream":true,"stream_options":{"include_usage":false}}', `{"stream":true,${asking}}`],
    ['of legacy completions', '/v1/completions', '{"stream":true}', `{${asking},"stream":true}`],
  ])('%s is asked for it, and the client sees nothing of that', async (_, path, body, expected) => {
    const { send, arrived } = await scene()
    const result = await send(post(path, body))
    expect(arrived.map((one) => one.body)).toEqual([expected])
    expect(arrived[0]?.head.toLowerCase()).toContain('accept-encoding: identity')
    expect(arrived[0]?.head).toContain(`content-length: ${expected.length}`)
    expect([result.status, result.body, result.notes]).toEqual(['200', content + done, ['usage_injected']])
    expect(result.seen.responseBytes).toBe(content + usage + done)
  })

  it('in a chunked body is asked for it too', async () => {
    const { send, arrived } = await scene()
    const result = await send(
      'POST /v1/chat/completions HTTP/1.1\r\nHost: me\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{"stream":true}\r\n0\r\n\r\n',
    )
    expect(arrived[0]?.body).toBe(`{${asking},"stream":true}`)
    expect(result.body).toBe(content + done)
  })
})

describe('every other request', () => {
  it.each([
    ['that asked itself', '/v1/chat/completions', `{"stream":true,${asking}}`, ''],
    ['that does not stream', '/v1/chat/completions', '{"model":"m"}', ''],
    ['of the Responses API', '/v1/responses', '{"stream":true}', ''],
    ['of Anthropic', '/v1/messages', '{"stream":true}', ''],
    ['that is compressed', '/v1/chat/completions', '{"stream":true}', 'Content-Encoding: gzip\r\n'],
  ])('%s crosses untouched, both ways', async (_, path, body, headers) => {
    const { send, arrived } = await scene()
    const result = await send(post(path, body, headers))
    expect(arrived[0]?.body).toBe(body)
    expect(arrived[0]?.head).toContain('Accept-Encoding: gzip, br')
    expect([result.body, result.notes]).toEqual([content + usage + done, []])
  })
})

describe('an upstream that refuses to be asked', () => {
  const error = '{"error":{"message":"Unknown field: stream_options"}}'
  const plainStream = `${sse}${chunk(content)}${chunk(done)}0\r\n\r\n`
  const refusal = (status: number) =>
    `HTTP/1.1 ${status} Refused\r\nContent-Type: application/json\r\nContent-Length: ${error.length}\r\n\r\n${error}`

  it.each([400, 422])('with %i gets the client’s own bytes, once, and is remembered', async (status) => {
    const { send, arrived, pass } = await scene((body) =>
      body.includes('stream_options') ? refusal(status) : `${sse}${chunk(content)}${chunk(done)}0\r\n\r\n`,
    )
    const request = post('/v1/chat/completions', '{"model":"m","stream":true}')
    const first = await send(request)
    expect([first.status, first.body, first.notes, first.seen.requestBytes]).toEqual([
      ...['200', content + done, ['usage_injection_refused'], '{"model":"m","stream":true}'],
    ])
    expect(arrived.map((one) => one.body)).toEqual([`{${asking},"model":"m","stream":true}`, '{"model":"m","stream":true}'])
    expect(arrived[1]?.head).toContain('Accept-Encoding: gzip, br')
    const second = await send(request)
    expect([second.notes, arrived.length]).toEqual([[], 3])
    await send(post('/v1/chat/completions', '{"model":"other","stream":true}'))
    expect(arrived.length).toBe(5)
    pass(61 * 60 * 1000)
    await send(request)
    expect(arrived.length).toBe(7)
  })

  it('for a reason of the client’s own answers the client, and is not asked twice again until it answers', async () => {
    let refuse = true
    const { send, arrived } = await scene((body) => (refuse ? refusal(400) : body.includes('stream_options') ? stream : plainStream))
    const first = await send(post('/v1/chat/completions', '{"stream":true}'))
    expect([first.status, first.body, first.notes, arrived.length]).toEqual(['400', error, [], 2])
    await send(post('/v1/chat/completions', '{"stream":true}'))
    expect(arrived.length).toBe(3)
    refuse = false
    await send(post('/v1/chat/completions', '{"stream":true}'))
    await send(post('/v1/chat/completions', '{"stream":true}'))
    expect(arrived.slice(3).map(({ body }) => body)).toEqual(['{"stream":true}', `{${asking},"stream":true}`])
  })

  it('after it accepted it before is doubted: another deployment may have answered', async () => {
    let refuse = false
    const plain = `${sse}${chunk(content)}${chunk(done)}0\r\n\r\n`
    const { send, arrived } = await scene((body) => (refuse && body.includes('stream_options') ? refusal(400) : refuse ? plain : stream))
    await send(post('/v1/chat/completions', '{"stream":true}'))
    refuse = true
    const second = await send(post('/v1/chat/completions', '{"stream":true}'))
    expect([second.status, second.body, arrived.length]).toEqual(['200', content + done, 3])
  })

  it.each([
    ['404', refusal(404)],
    ['500', refusal(500)],
    ['501', refusal(501)],
    ['a stream without an event', `${sse}${chunk(': hello\n\n')}0\r\n\r\n`],
    ['an empty stream', `${sse}0\r\n\r\n`],
    ['an error as its first event', `${sse}${chunk(event('{"error":{"message":"no"}}'))}`],
    ['an error event', `${sse}${chunk('event: error\ndata: {"message":"no"}\n\n')}0\r\n\r\n`],
  ])('with %s gets the client’s own bytes before the client has seen anything, and is remembered', async (_, wire) => {
    const { send, arrived } = await scene((body) => (body.includes('stream_options') ? wire : plainStream))
    const first = await send(post('/v1/chat/completions', '{"stream":true}'))
    expect([first.status, first.body, first.notes, first.seen.responseBytes]).toEqual([
      '200',
      content + done,
      ['usage_injection_refused'],
      content + done,
    ])
    await send(post('/v1/chat/completions', '{"stream":true}'))
    expect(arrived.map(({ body }) => body.includes('stream_options'))).toEqual([true, false, false])
  })

  it('by closing is not asked twice: the next one goes as it is, and that is remembered', async () => {
    const { send, arrived, proxy } = await scene((body) => (body.includes('stream_options') ? 'close' : plainStream))
    const first = rawClient(proxy.port, post('/v1/chat/completions', '{"stream":true}'))
    expect(await first.until((text) => text.endsWith('}}'))).toContain('HTTP/1.1 502')
    await proxy.ended(1)
    expect(arrived.length).toBe(1)
    const bodies = []
    for (let n = 0; n < 2; n++) {
      const client = rawClient(proxy.port, post('/v1/chat/completions', '{"stream":true}'))
      bodies.push((await client.until((text) => text.includes('0\r\n\r\n'))).includes('HTTP/1.1 200'))
    }
    expect([bodies, arrived.map(({ body }) => body.includes('stream_options'))]).toEqual([
      [true, true],
      [true, false, false],
    ])
    void send
  })
})

it('a compressed answer, sent though none was asked for, crosses untouched', async () => {
  const body = 'not really gzip: "choices":[] "usage"'
  const { send } = await scene(() => `${sse.replace('\r\n\r\n', '\r\nContent-Encoding: gzip\r\n\r\n')}${chunk(body)}0\r\n\r\n`)
  expect((await send(post('/v1/chat/completions', '{"stream":true}'))).body).toBe(body)
})

describe('an upstream of which nothing is known', () => {
  it('is let two streams through as they are, which keep the usage that comes unasked, and is then never asked', async () => {
    const { send, arrived } = await scene(() => stream, false)
    for (let n = 0; n < 4; n++) {
      const one = await send(post('/v1/chat/completions', '{"stream":true}'))
      expect([one.body, one.notes]).toEqual([content + usage + done, n < 2 ? ['usage_probe'] : []])
    }
    expect(arrived.map(({ body }) => body)).toEqual(new Array(4).fill('{"stream":true}'))
  })

  it('is seen also through clients that take compressed answers: the streams let through ask for none', async () => {
    const whole = `${chunk(content)}${chunk(done)}0\r\n\r\n`
    const { send, arrived } = await scene((_, head) => (/accept-encoding: identity/i.test(head) ? sse : compressed) + whole, false)
    for (let n = 0; n < 3; n++) await send(post('/v1/chat/completions', '{"stream":true}'))
    expect(arrived.map(({ body }) => body.includes('stream_options'))).toEqual([false, false, true])
  })

  it('that compresses whatever it is asked is never asked for usage, which could not be taken out again', async () => {
    const { send, arrived } = await scene(() => `${compressed}${chunk(content)}0\r\n\r\n`, false)
    const notes: unknown[] = []
    for (let n = 0; n < 4; n++) notes.push((await send(post('/v1/chat/completions', '{"stream":true}'))).notes)
    expect(arrived.map(({ body }) => body.includes('stream_options'))).toEqual([false, false, false, false])
    expect(notes.slice(2)).toEqual([[], []])
  })

  it('that sends none unasked is asked from the third on, and let one through again after a day', async () => {
    const { send, arrived, pass } = await scene(
      (body) => (body.includes('stream_options') ? stream : `${sse}${chunk(content)}${chunk(done)}0\r\n\r\n`),
      false,
    )
    const isAsked = () => arrived.map(({ body }) => body.includes('stream_options'))
    for (let n = 0; n < 4; n++) await send(post('/v1/chat/completions', '{"stream":true}'))
    pass(25 * 60 * 60 * 1000)
    for (let n = 0; n < 2; n++) await send(post('/v1/chat/completions', '{"stream":true}'))
    expect(isAsked()).toEqual([false, false, true, true, false, true])
  })
})

describe('what is known of upstreams', () => {
  const folder = () => mkdtempSync(join(tmpdir(), 'tokenweir-upstreams-'))

  it('outlives a restart', async () => {
    const file = join(folder(), 'a.json')
    const before = createCapabilities(() => 5, { file, report: () => undefined })
    before.learn('k', 'refused')
    for (let i = 0; i < 2; i++) before.saw('p', true)
    await until(() => existsSync(file))
    const after = createCapabilities(() => 6, { file, report: () => undefined })
    expect([after.injection('k'), after.unasked('p'), after.unasked('q')]).toEqual(['refused', true, undefined])
  })

  it.each(['{', '[]', '{"injections":[["k",{"injection":"perhaps"}],3],"places":[]}'])('in a file that holds %s is learnt anew', (text) => {
    const file = join(folder(), 'a.json')
    writeFileSync(file, text)
    const lines: string[] = []
    const known = createCapabilities(() => 5, { file, report: (line) => lines.push(line) })
    expect([known.injection('k'), lines.length]).toEqual([undefined, text.startsWith('{"') ? 0 : 1])
  })

  it('is bounded', () => {
    const known = createCapabilities(() => 5)
    for (let n = 0; n < 5000; n++) known.learn(`k${n}`, 'refused')
    expect([known.injection('k0'), known.injection('k4999')]).toEqual([undefined, 'refused'])
  })
})
