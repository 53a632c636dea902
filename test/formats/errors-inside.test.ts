/** Errors that an answer of status 200 tells, and what is told twice. */
import { describe, expect, it } from 'vitest'
import { conclude, readRequest } from '../../src/conclude/conclude.ts'
import { createFirstSight } from '../../src/conclude/counted.ts'
import { createAttributor } from '../../src/conclude/providers/attribution.ts'
import { readThrough } from '../observe/read-through.ts'
import { concluded, ending, opening } from './exchanges.ts'

describe('an error inside a body of status 200', () => {
  it.each([
    ['MiniMax', { choices: null, base_resp: { status_code: 1008, status_msg: 'insufficient balance' } }, '1008'],
    ['Qianfan', { error_code: 336003, error_msg: 'the max input characters' }, '336003'],
    ['Spark', { header: { code: 10013, message: 'rejected', sid: 's', status: 2 } }, '10013'],
    ['Spark over HTTP', { code: 11200, message: 'AppIdNoAuthError', sid: 's' }, '11200'],
    ['DashScope', { code: 'InvalidParameter', message: 'Model not exist.', request_id: 'r' }, 'InvalidParameter'],
    ['Tencent', { Response: { Error: { Code: 'AuthFailure', Message: 'no' }, RequestId: 'r' } }, 'AuthFailure'],
    ['Coze', { code: 4000, msg: 'bad', detail: {} }, '4000'],
    ['Cloudflare', { success: false, errors: [{ code: 7003, message: 'no route' }], result: null }, '7003'],
    ['OpenRouter, a failed choice', { choices: [{ index: 0, finish_reason: 'error', error: { code: 502, message: 'down' } }] }, '502'],
    ['a failed choice of which nothing is known', { choices: [{ index: 0, finish_reason: 'error', message: {} }] }, 'error'],
    ['Hugging Face', { error: 'Model is overloaded', error_type: 'overloaded' }, 'overloaded'],
  ])('of %s is its type', (_title, body, type) => {
    expect(concluded({ body }).errorType).toBe(type)
  })

  it.each([
    ['MiniMax', { choices: [], base_resp: { status_code: 0, status_msg: 'success' } }],
    ['Spark', { code: 0, message: 'Success', sid: 's', choices: [] }],
    ['a code that is no status', { code: 'print(1)', type: 'code', message: 'x', choices: [] }],
    ['a header of another kind', { header: { title: 'a', code: 0 } }],
    ['Cloudflare', { success: true, errors: [], result: {} }],
  ])('is not seen where all is well: %s', (_title, body) => {
    expect(concluded({ body }).errorType).toBeUndefined()
  })
})

describe('an error inside a stream', () => {
  const chunk =
    'data: {"id":"c1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'
  const read = (body: string, pieceBytes = 1000) =>
    readThrough(
      {
        method: 'POST',
        path: '/v1/chat/completions',
        requestHeaders: {},
        requestBody: Buffer.from('{"model":"m","stream":true}'),
        status: 200,
        responseHeaders: { 'content-type': 'text/event-stream' },
        body: Buffer.from(body),
      },
      { pieceBytes },
    )

  it.each([
    ['bare JSON after the events', '{"error":{"code":500,"message":"died","type":"server_error"}}\n', 'server_error'],
    ['bare JSON over several lines', '{\n  "error": {\n    "type": "server_error"\n  }\n}', 'server_error'],
    ['bare JSON before more events', '{"error":{"type":"server_error"}}\n\n: ping\n\n', 'server_error'],
    ['an event of data', 'data: {"error":{"type":"server_error","message":"died"}}\n\n', 'server_error'],
    ['a vendor\u2019s code in data', 'data: {"base_resp":{"status_code":1002,"status_msg":"rate limit"}}\n\n', '1002'],
    ['an error event of plain text', 'event: error\ndata: upstream died\n\n', 'error'],
    ['an error event with a code of its own', 'event: error\ndata: {"code":"overloaded","message":"x"}\n\n', 'overloaded'],
    ['an exception by its name', 'event: modelStreamErrorException\ndata: {"note":"x"}\n\n', 'modelStreamErrorException'],
  ])('is seen as %s', async (_title, tail, type) => {
    for (const pieceBytes of [1, 7, 5000]) {
      const exchange = await read(chunk + tail, pieceBytes)
      expect([exchange.errorType, exchange.usageOutcome, exchange.usageReason]).toEqual([type, 'missing', 'upstream_cut'])
    }
  })

  it.each([
    ['a brace in a text', 'data: {"choices":[{"index":0,"delta":{"content":"\\n{\\"error\\":1}"}}]}\n\n'],
    ['bare JSON that is no error', '{"note":"x"}\n'],
  ])('is not seen in %s', async (_title, tail) => {
    expect((await read(`${chunk}${tail}data: [DONE]\n\n`)).errorType).toBeUndefined()
  })
})

describe('a response that was made in the background', () => {
  const stored = {
    id: 'resp_b',
    object: 'response',
    status: 'completed',
    background: true,
    model: 'm',
    usage: { input_tokens: 5, output_tokens: 2 },
  }
  const context = () => ({ attribute: createAttributor().attribute, basePathOf: () => undefined, isFirstSight: createFirstSight() })
  const get = (body: object, attribution: ReturnType<typeof context>) => {
    const open = opening({ method: 'GET', path: '/v1/responses/resp_b' })
    return conclude(open, ending(), readRequest(open, undefined), Buffer.from(JSON.stringify(body)), { bodyBytes: 1e6 }, attribution)
  }

  it('is counted when it is first read back whole, and never again', () => {
    const attribution = context()
    const outcomes = [{ ...stored, status: 'in_progress', usage: null }, stored, stored].map((body) => {
      const { usageOutcome, response } = get(body, attribution)
      return [usageOutcome, response?.usage?.inputTokens]
    })
    expect(outcomes).toEqual([
      [undefined, undefined],
      ['reported', 5],
      [undefined, undefined],
    ])
  })

  it('is not counted again when its own stream has told its usage', async () => {
    const attribution = context()
    const open = opening({ path: '/v1/responses' })
    const streamed = ending({
      streamed: true,
      framing: 'sse',
      format: 'openai-responses',
      response: { id: 'resp_b', background: true, finished: true, usage: { inputTokens: 5 } },
    })
    expect(conclude(open, streamed, undefined, undefined, { bodyBytes: 1e6 }, attribution).response?.usage).toEqual({ inputTokens: 5 })
    expect(get(stored, attribution).response?.usage).toBeUndefined()
  })

  it('is not counted when it was answered at once, or is not stored', () => {
    for (const body of [
      { ...stored, background: false },
      { ...stored, store: false },
    ])
      expect(get(body, context()).usageOutcome).toBeUndefined()
  })
})
