/** What is too long to be kept is scanned: usage, model and id are found behind pictures of any size. */
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { formFields } from '../../src/conclude/request-reading.ts'
import { createBeside } from '../../src/observe/beside.ts'
import { Collected, CopyBudget } from '../../src/observe/collected.ts'
import { createSketch } from '../../src/observe/sketch.ts'
import { event as eventstreamEvent } from '../frames/encode.ts'
import { readThrough } from './read-through.ts'

function sketched(bytes: Buffer, pieceBytes: number): unknown {
  const sketch = createSketch()
  for (let from = 0; from < bytes.length; from += pieceBytes) sketch.push(bytes.subarray(from, from + pieceBytes))
  const json = sketch.json()
  return json === undefined ? undefined : JSON.parse(json)
}

const long = 'A'.repeat(3000)

describe('a sketch', () => {
  it.each([
    ['short JSON as it is', { a: 'x\\"y\\\\', b: [1, -2.5e3, { c: 'é"\n' }], n: null, t: true, e: {}, l: [] }, undefined],
    ['long texts as empty ones', { a: long, b: { c: `${long}\\"` }, d: 'kept' }, { a: '', b: { c: '' }, d: 'kept' }],
    [
      'long lists cut',
      { v: Array.from({ length: 500 }, (_, index) => index), u: 1 },
      { v: Array.from({ length: 128 }, (_, index) => index), u: 1 },
    ],
  ])('has %s, however it was cut', (_title, value, expected) => {
    const bytes = Buffer.from(JSON.stringify(value, null, 1))
    for (const pieceBytes of [1, 2, 3, 7, 1000, bytes.length]) expect(sketched(bytes, pieceBytes)).toEqual(expected ?? value)
  })

  it('is bounded, and still has what stands behind', () => {
    const many = Array.from({ length: 120 }, () => ({ parts: Array.from({ length: 120 }, () => ({ text: 'b'.repeat(900) })) }))
    const found = sketched(Buffer.from(JSON.stringify({ contents: many, usage: { total: 7 } })), 4096) as { usage: unknown }
    expect(found.usage).toEqual({ total: 7 })
    expect(JSON.stringify(found).length).toBeLessThan(300_000)
  })

  it('is none of JSON that has not ended, is too deep, or is too wide', () => {
    const wide = `{${Array.from({ length: 40_000 }, (_, index) => `"key${index}":${index}`).join()}}`
    for (const text of ['', '{"a":', '{"a":"x', '{"a":[1}', '['.repeat(100), wide])
      expect(sketched(Buffer.from(text), 1000)).toBeUndefined()
  })

  it('costs no more memory than its own for 64 MiB', () => {
    const sketch = createSketch()
    const piece = Buffer.alloc(1 << 20, 'A')
    sketch.push(Buffer.from('{"data":"'))
    for (let count = 0; count < 64; count++) sketch.push(piece)
    sketch.push(Buffer.from('","usage":{"total":7}}'))
    expect(sketch.json()).toBe('{"data":"","usage":{"total":7}}')
  })
})

const picture = 'A'.repeat(50_000)
const base = { method: 'POST', requestHeaders: {}, requestBody: Buffer.from('{"model":"m","stream":true}'), status: 200 }
const limits = { bodyBytesMax: 10_000, messageBytesMax: 5000, pieceBytes: 1024 }

describe('usage behind a picture is read', () => {
  const completed = {
    type: 'response.completed',
    response: {
      id: 'r',
      object: 'response',
      status: 'completed',
      model: 'm',
      output: [{ result: picture }],
      usage: { input_tokens: 100, output_tokens: 20 },
    },
  }
  const generated = {
    candidates: [{ content: { parts: [{ inlineData: { data: picture } }] }, finishReason: 'STOP' }],
    usageMetadata: { promptTokenCount: 100, candidatesTokenCount: 20 },
    modelVersion: 'm',
  }
  const usage = { inputTokens: 100, outputTokens: 20 }

  it.each([
    [
      'in an event',
      '/v1/responses',
      { 'content-type': 'text/event-stream' },
      Buffer.from(`event: x\ndata: ${JSON.stringify(completed)}\n\ndata: [DONE]\n\n`),
    ],
    [
      'in a line',
      '/v1beta/models/m:streamGenerateContent',
      { 'content-type': 'application/x-ndjson' },
      Buffer.from(`${JSON.stringify(generated)}\n`),
    ],
    [
      'in a member of a list, before smaller ones',
      '/v1beta/models/m:streamGenerateContent',
      { 'content-type': 'application/json' },
      Buffer.from(`[${JSON.stringify(generated)}\n,{"candidates":[]}]`),
    ],
    ['in a body', '/v1beta/models/m:generateContent', { 'content-type': 'application/json' }, Buffer.from(JSON.stringify(generated))],
    [
      'in a compressed body',
      '/v1beta/models/m:generateContent',
      { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      gzipSync(JSON.stringify(generated)),
    ],
    [
      'in a body that is too long even compressed',
      '/v1beta/models/m:generateContent',
      { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      gzipSync(JSON.stringify(generated), { level: 0 }),
    ],
  ])('%s', async (_title, path, responseHeaders, body) => {
    const exchange = await readThrough({ ...base, path, responseHeaders, body }, limits)
    expect([exchange.response?.usage, exchange.response?.model, exchange.usageOutcome, exchange.notes]).toEqual([
      usage,
      'm',
      'reported',
      ['scanned'],
    ])
  })

  it('unless it does not end', async () => {
    const body = Buffer.from(`data: ${JSON.stringify(completed).slice(0, -5)}\n\n`)
    const exchange = await readThrough(
      { ...base, path: '/v1/responses', responseHeaders: { 'content-type': 'text/event-stream' }, body },
      limits,
    )
    expect([exchange.usageOutcome, exchange.usageReason, exchange.notes]).toEqual(['undecodable', 'limit_hit', ['limit_hit']])
  })

  it('of a request, as far as it says what is asked for', () => {
    const collected = new Collected(1000, new CopyBudget(1 << 20))
    collected.push(Buffer.from(`{"messages":[{"content":"${picture}`))
    collected.push(Buffer.from('"}],"model":"m","stream":true}'))
    expect([collected.overflowed, collected.settle(), Buffer.concat(collected.handOver()).toString()]).toEqual([
      true,
      true,
      '{"messages":[{"content":""}],"model":"m","stream":true}',
    ])
  })
})

describe('bodies of which too much would be kept at once', () => {
  const body = Buffer.from(JSON.stringify({ messages: [{ content: 'x'.repeat(5000) }], model: 'm' }))
  const half = body.length / 2
  const begin = (budget: CopyBudget) => {
    const collected = new Collected(1 << 20, budget)
    collected.push(body.subarray(0, half))
    return collected
  }

  it('are sketched, and kept again once the others are handed over', () => {
    const budget = new CopyBudget(9000)
    const [first, second] = [begin(budget), begin(budget)]
    first.push(body.subarray(half))
    second.push(body.subarray(half))
    expect([first.overflowed, second.overflowed]).toEqual([false, true])
    expect(second.settle()).toBe(true)
    expect(JSON.parse(Buffer.concat(second.handOver()).toString())).toEqual({ messages: [{ content: '' }], model: 'm' })
    expect(Buffer.concat(first.handOver()).equals(body)).toBe(true)
    const third = begin(budget)
    third.push(body.subarray(half))
    expect(third.overflowed).toBe(false)
  })

  it('are kept up to the limit of now, also while more is kept', () => {
    const budget = new CopyBudget(9000)
    expect(budget.take(8000)).toBe(true)
    budget.limit(5000)
    expect(budget.take(1)).toBe(false)
    budget.give(8000)
    expect([budget.take(5001), budget.take(5000)]).toEqual([false, true])
    budget.limit(6000)
    expect([budget.take(1001), budget.take(1000)]).toEqual([false, true])
  })

  it('are bounded in pieces too', () => {
    const collected = new Collected(100_000, new CopyBudget(1 << 20))
    for (let n = 0; n < 1000; n++) collected.push(Buffer.from(' '))
    expect(collected.overflowed).toBe(true)
  })
})

describe('a message of very many values', () => {
  it('is not parsed on this thread, and its usage is read all the same', async () => {
    const values = Array.from({ length: 200_000 }, (_, n) => n)
    const message = {
      id: 'c',
      object: 'chat.completion.chunk',
      model: 'm',
      choices: [],
      values,
      usage: { prompt_tokens: 1, completion_tokens: 2 },
    }
    const body = Buffer.from(`data: ${JSON.stringify(message)}\n\ndata: [DONE]\n\n`)
    const exchange = await readThrough({
      ...base,
      path: '/v1/chat/completions',
      responseHeaders: { 'content-type': 'text/event-stream' },
      body,
    })
    expect([exchange.response?.usage, exchange.notes]).toEqual([{ inputTokens: 1, outputTokens: 2 }, ['scanned']])
  })
})

describe('a form that is too long', () => {
  it('is kept at both ends, where its fields stand', () => {
    const field = (name: string, value: string) => `--weir\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
    const file = '--weir\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    const collected = new Collected(1000, new CopyBudget(1 << 20))
    for (const piece of [field('model', 'whisper-weir') + file, ...Array.from({ length: 40 }, () => 'x'.repeat(9000))])
      collected.push(Buffer.from(piece))
    collected.push(Buffer.from(`\r\n${field('stream', 'true')}--weir--\r\n`))
    expect(collected.settle()).toBe(true)
    const kept = Buffer.concat(collected.handOver())
    expect(kept.length).toBeLessThan(200_000)
    expect(formFields(kept, 'weir')).toEqual({ model: 'whisper-weir', stream: true })
  })

  it('is of no use when it is neither a form nor JSON', () => {
    const collected = new Collected(10, new CopyBudget(1 << 20))
    collected.push(Buffer.from('x'.repeat(20)))
    expect([collected.settle(), collected.handOver()]).toEqual([false, []])
  })
})

describe('what stands beside the events', () => {
  it('is seen where a piece begins with it', () => {
    const seen: unknown[] = []
    const beside = createBeside({ messageBytesMax: 100, onLong: () => {}, onStray: (json) => seen.push(json) })
    for (const piece of ['data: {}\n\n', '{"error":', '{"type":"x"}}\n']) beside.push(Buffer.from(piece))
    beside.end()
    expect(seen).toEqual([{ error: { type: 'x' } }])
  })
})

describe('a body inside an event-stream', () => {
  const sse =
    'data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[]}\n\ndata: {"object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5}}\n\ndata: [DONE]\n\n'
  const parts = (text: string, bytes: number) =>
    Buffer.concat(
      Array.from({ length: Math.ceil(text.length / bytes) }, (_, index) =>
        eventstreamEvent('PayloadPart', text.slice(index * bytes, (index + 1) * bytes)),
      ),
    )
  const read = (body: Buffer, type = 'application/vnd.amazon.eventstream') =>
    readThrough(
      { ...base, path: '/endpoints/weir/invocations-response-stream', responseHeaders: { 'content-type': type }, body },
      { pieceBytes: 50 },
    )

  it.each([1, 5, 40, 1000])('is read from parts of %i bytes', async (bytes) => {
    const exchange = await read(parts(sse, bytes))
    expect([exchange.format, exchange.provider, exchange.request?.model, exchange.response?.usage]).toEqual([
      'openai-chat',
      'aws.sagemaker',
      'm',
      { inputTokens: 9, outputTokens: 5 },
    ])
  })

  it('is told by more than its first byte', async () => {
    expect((await read(parts(`\n\n\n${sse}`, 1))).response?.usage).toEqual({ inputTokens: 9, outputTokens: 5 })
  })

  it('is read in any framing of its own, and by its bytes when it has a wrong type', async () => {
    const lines =
      '{"generated_text":null,"token":{"id":1},"details":null}\n{"token":{"id":2},"generated_text":"a","details":{"finish_reason":"length","generated_tokens":4}}\n'
    expect((await read(parts(sse, 40), 'application/json')).response?.usage).toEqual({ inputTokens: 9, outputTokens: 5 })
    const ndjson = await readThrough({
      ...base,
      path: '/endpoints/weir/invocations-response-stream',
      responseHeaders: { 'content-type': 'application/vnd.amazon.eventstream', 'x-amzn-sagemaker-content-type': 'application/jsonlines' },
      body: parts(lines, 30),
    })
    expect([ndjson.format, ndjson.response?.usage]).toEqual(['tgi', { outputTokens: 4 }])
  })
})
