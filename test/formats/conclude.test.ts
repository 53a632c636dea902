import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { createFold } from '../../src/observe/fold.ts'
import { chatBody, concluded, cut, ending, type Given, left, opening, stopped, streamed, usage } from './exchanges.ts'
import { fixtures } from './fixtures/index.ts'

describe('the end reason and error type of', () => {
  const table: readonly (readonly [title: string, given: Given, endReason: string, errorType: string | undefined])[] = [
    ['an answer', { body: chatBody }, 'completed', undefined],
    ['a client that left early', { ending: streamed({}, { outcome: left }) }, 'client-aborted', undefined],
    ['a client that left after the terminal event', { ending: streamed({ finished: true }, { outcome: left }) }, 'completed', undefined],
    ['an upstream that broke off', { ending: streamed({}, { outcome: cut }) }, 'upstream-aborted', 'upstream_aborted'],
    [
      'an upstream that broke off after an error event',
      { ending: streamed({ error: { type: 'overloaded_error' } }, { outcome: cut }) },
      'upstream-aborted',
      'overloaded_error',
    ],
    ['an error event in a stream', { ending: streamed({ error: { type: 'overloaded_error' } }) }, 'completed', 'overloaded_error'],
    ['an error body with status 200', { body: { error: { code: 'content_filter' } } }, 'completed', 'content_filter'],
    ['an error status', { ending: { status: 404 }, body: { error: { type: 'not_found_error' } } }, 'completed', '404'],
    [
      'an unreachable upstream',
      { ending: { status: 502, framing: 'none', outcome: { kind: 'unreachable', reason: 'dns' } } },
      'unreachable',
      'dns',
    ],
    ['a refused request', { ending: { status: 431, framing: 'none', outcome: { kind: 'refused', reason: 'headers' } } }, 'refused', '431'],
    ['a stop', { ending: streamed({}, { outcome: stopped }) }, 'sidecar-stopped', undefined],
  ]

  it.each(table)('%s', (_title, given, endReason, errorType) => {
    const exchange = concluded(given)
    expect([exchange.endReason, exchange.errorType]).toEqual([endReason, errorType])
  })
})

describe('the finish reasons of', () => {
  const table: readonly (readonly [title: string, given: Given, reasons: readonly string[] | undefined])[] = [
    ['a stream that finished', { ending: streamed({ finishReasons: ['stop'], finished: true }) }, ['stop']],
    ['a stream that the upstream cut', { ending: streamed({}, { outcome: cut }) }, ['error']],
    ['a stream that an error ended', { ending: streamed({ error: { type: 'x' } }) }, ['error']],
    [
      'a stream that an error ended after the reason',
      { ending: streamed({ error: { type: 'x' }, finishReasons: ['length'] }) },
      ['length'],
    ],
    ['a stream that the client left', { ending: streamed({}, { outcome: left }) }, undefined],
    ['a stream that ended without one', { ending: streamed({ finished: true }) }, undefined],
    ['a stream cut after one choice of two', { ending: streamed({ finishReasons: ['', 'stop'] }, { outcome: cut }) }, ['error', 'stop']],
    ['a stream left after one choice of two', { ending: streamed({ finishReasons: ['', 'stop'] }, { outcome: left }) }, ['stop']],
    ['a body whose reason is an empty text', { body: { choices: [{ message: {}, finish_reason: '' }] } }, ['']],
    ['an error body with status 200', { body: { error: { code: 'content_filter' } } }, ['error']],
    ['an error status', { ending: { status: 500 }, body: { error: { code: 'x' } } }, undefined],
    ['an embedding that failed', { opening: { path: '/v1/embeddings' }, body: { error: { code: 'x' } } }, undefined],
  ]

  it.each(table)('%s', (_title, given, reasons) => {
    expect(concluded(given).response?.finishReasons).toEqual(reasons)
  })
})

describe('a concluded exchange', () => {
  it('is whole: a body that was compressed, with its request', () => {
    const exchange = concluded({
      opening: { routeProvider: 'my.own' },
      ending: { contentEncoding: 'gzip' },
      request: { model: 'alias', messages: [{ content: 'secret' }], temperature: 0.5 },
      body: gzipSync(JSON.stringify({ ...chatBody, id: 'c1', model: 'm' })),
    })
    expect(exchange).toEqual({
      opening: opening({ routeProvider: 'my.own' }),
      ending: ending({ contentEncoding: 'gzip' }),
      endReason: 'completed',
      format: 'openai-chat',
      inference: true,
      operation: 'chat',
      provider: 'my.own',
      request: { operation: 'chat', usageExpected: true, model: 'alias', temperature: 0.5, openaiApiType: 'chat_completions' },
      response: { id: 'c1', model: 'm', finishReasons: ['stop'], usage, finished: true },
      usageOutcome: 'reported',
      notes: [],
    })
  })

  it('of no wire format is no inference', () => {
    const exchange = concluded({ opening: { path: '/users' }, body: { name: 'x' } })
    expect(exchange).toEqual({
      opening: opening({ path: '/users' }),
      ending: ending(),
      endReason: 'completed',
      inference: false,
      notes: [],
    })
  })

  it('of an unknown stream has an operation and a provider', () => {
    const exchange = concluded({ opening: { path: '/stream' }, ending: { streamed: true, framing: 'sse' } })
    expect([exchange.inference, exchange.operation, exchange.provider]).toEqual([true, 'unknown', 'unknown'])
  })

  it('at an unknown path is recognised by the shape of its answer', () => {
    const exchange = concluded({ opening: { path: '/serving/weir/invocations' }, request: { model: 'x', max_tokens: 3 }, body: chatBody })
    expect([exchange.format, exchange.request?.maxTokens, exchange.response?.usage]).toEqual(['openai-chat', 3, usage])
  })

  it('at a path of two formats is recognised by the shape of its answer, and falls back on the first', () => {
    const at = (body: unknown) => concluded({ opening: { path: '/v1/chat' }, body }).format
    expect([at(chatBody), at({ generation_id: 'g', text: 'a' }), at({ message: 'no such model' })]).toEqual([
      'openai-chat',
      'cohere-chat-v1',
      'cohere-chat-v1',
    ])
  })

  it('of a refused request has no usage, whatever the body says', () => {
    const exchange = concluded({ ending: { status: 400 }, body: { ...chatBody, error: { type: 'bad' } } })
    expect(exchange.response).toEqual({ finishReasons: ['stop'], finished: true, error: { type: 'bad' } })
  })

  it('of a stored response has no usage at all', () => {
    const exchange = concluded({
      opening: { path: '/v1/responses/resp_weir', method: 'GET' },
      body: { id: 'resp_weir', model: 'gpt-weir', usage: { input_tokens: 9, output_tokens: 2 } },
    })
    expect([exchange.inference, exchange.operation, exchange.response]).toEqual([
      true,
      'fetch_response',
      { id: 'resp_weir', model: 'gpt-weir', finished: true },
    ])
  })

  it('counts from the head when the body has none', () => {
    const exchange = concluded({
      opening: { path: '/model/mistral.weir/invoke' },
      ending: { responseHeaders: { 'x-amzn-bedrock-input-token-count': '6', 'x-amzn-bedrock-output-token-count': '10' } },
      body: { outputs: [{ text: 'a', stop_reason: 'length' }] },
    })
    expect(exchange.response).toEqual({ finishReasons: ['length'], usage: { inputTokens: 6, outputTokens: 10 }, finished: true })
  })

  it.each([
    ['an alias that the body repeats', 'fast', { 'x-litellm-model-name': 'anthropic/claude-weir' }, 'claude-weir'],
    ['an alias, of a deployment with a name', 'fast', { 'x-litellm-model-id': 'bedrock/us.weir.claude-v1:0' }, 'us.weir.claude-v1:0'],
    ['an alias, of a deployment without a name', 'fast', { 'x-litellm-model-id': 'a'.repeat(64) }, 'fast'],
    ['a model that the body names itself', 'weir-4-0613', { 'x-litellm-model-name': 'openai/weir-4' }, 'weir-4-0613'],
  ])('has the model behind %s of LiteLLM', (_title, model, responseHeaders, expected) => {
    const exchange = concluded({ request: { model: 'fast' }, body: { ...chatBody, model }, ending: { responseHeaders } })
    expect(exchange.response?.model).toBe(expected)
  })

  it.each([
    ['0.0042', 0.0042],
    ['3e-05', 0.00003],
    ['0.0', undefined],
    ['None', undefined],
    ['-1', undefined],
  ])('has the cost that LiteLLM says is %s', (cost, expected) => {
    const responseHeaders = { 'x-litellm-response-cost': cost }
    expect(concluded({ body: chatBody, ending: { responseHeaders } }).response?.reportedCostUsd).toBe(expected)
    const own = { ...chatBody, usage: { ...chatBody.usage, cost: 0.5 } }
    expect(concluded({ body: own, ending: { responseHeaders } }).response?.reportedCostUsd).toBe(0.5)
  })

  it.each([
    ['0.0123USD', 0.0123],
    ['0.0001USD', undefined],
    ['0.0123EUR', undefined],
  ])('has the cost that Pydantic’s gateway says is %s, where that is fine enough', (cost, expected) => {
    const responseHeaders = { 'pydantic-ai-gateway-price-estimate': cost }
    expect(concluded({ body: chatBody, ending: { responseHeaders } }).response?.reportedCostUsd).toBe(expected)
  })

  it.each([
    ['groq', { x_groq: { id: 'r' } }],
    ['venice', { venice_parameters: {} }],
    ['minimax', { base_resp: { status_code: 0 } }],
    ['github_copilot', { copilot_usage: {} }],
    ['vercel', { generationId: 'gen_01KKHTRQRYKH43CS2M3V70YQSP' }],
    ['gcp.vertex_ai', { choices: [{ message: { provider_metadata: { gateway: { routing: { finalProvider: 'vertex' } } } } }] }],
    ['openrouter', { id: 'gen-1786389727-e5uRyUV52k' }],
    ['ollama', { system_fingerprint: 'fp_ollama' }],
    ['gpustack', { usage: { prompt_tokens: 1, completion_tokens: 1, time_to_first_token_ms: 5 } }],
    ['llama.cpp', { system_fingerprint: 'b7010-c27efd2' }],
    ['llama.cpp', { timings: { predicted_n: 3 } }],
    ['tgi', { system_fingerprint: '3.1.2-dev0-native' }],
    ['mistral.rs', { usage: { prompt_tokens: 1, completion_tokens: 1, avg_compl_tok_per_sec: 5 } }],
    ['unknown', { system_fingerprint: 'fp_b7010' }],
  ])('is of %s when the body is signed so', (provider, mark) => {
    expect(concluded({ body: { ...chatBody, model: 'open-weights', ...mark } }).provider).toBe(provider)
  })

  it('notes what it could not read, once', () => {
    expect(concluded({ body: '{"a":', ending: { notes: ['parse_error'] } }).notes).toEqual(['parse_error'])
    expect(concluded({ body: '{"a":' }).notes).toEqual(['parse_error'])
  })

  it.each(
    fixtures
      .filter((fixture) => fixture.kind === 'body' && fixture.format !== 'json-rpc')
      .map((fixture) => [`${fixture.format}: ${fixture.title}`, fixture] as const),
  )('of %s has the facts of the format', (_title, fixture) => {
    const exchange = concluded({
      opening: { method: fixture.method ?? 'POST', path: fixture.path },
      ending: { responseHeaders: fixture.headers ?? {} },
      ...(fixture.request !== undefined && { request: fixture.request }),
      body: fixture.messages[0]?.data,
    })
    const reasons = fixture.facts.error === undefined ? fixture.facts.finishReasons : ['error']
    expect([exchange.format, exchange.request, exchange.response]).toEqual([
      fixture.format,
      fixture.requestFacts,
      { ...fixture.facts, finishReasons: reasons, finished: true },
    ])
  })

  it('is a stream where a body under the name of one JSON text is a text for each line', () => {
    const lines = [
      { model: 'weir', message: { content: 'a' }, done: false },
      { model: 'weir', message: { content: '' }, done: true, done_reason: 'stop', prompt_eval_count: 5, eval_count: 2 },
    ]
    const at = (path: string, body: string) => concluded({ opening: { path }, body })
    const text = lines.map((line) => JSON.stringify(line)).join('\r\n')
    const exchange = at('/api/chat', `\ufeff${text}\n`)
    expect([exchange.ending.streamed, exchange.ending.framing, exchange.notes]).toEqual([true, 'ndjson', []])
    expect(exchange.response).toEqual({ model: 'weir', finishReasons: ['stop'], usage, finished: true })
    expect(at('/api/chat', `${text}\n{"bro`).notes).toEqual(['parse_error'])
    expect(at('/tickets', '{"a":1}\n{"a":2}').inference).toBe(false)
  })

  it('of a stream that its upstream ended before any output has the output that its beginning names', () => {
    const of = (kind: 'answered' | 'client-aborted', ...messages: readonly object[]) => {
      const fold = createFold('POST', '/v1/messages', {})
      const start = { type: 'message_start', message: { id: 'm', model: 'c', usage: { input_tokens: 9, output_tokens: 2 } } }
      for (const message of [start, ...messages]) fold.message(undefined, Buffer.from(JSON.stringify(message)))
      const response = fold.facts() ?? {}
      return concluded({ opening: { path: '/v1/messages' }, ending: streamed(response, { format: fold.format, outcome: { kind } }) })
        .response
    }
    const block = { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }
    const ended = { id: 'm', model: 'c', usage: { inputTokens: 9, outputTokens: 2 } }
    expect([of('answered', block), of('answered', block, { type: 'content_block_stop', index: 0 })]).toEqual([ended, ended])
    const unknown = { inputTokens: 9 }
    expect(of('client-aborted', block)?.usage).toEqual(unknown)
    expect(of('answered', block, { type: 'content_block_delta', delta: { text: 'a' } })?.usage).toEqual(unknown)
    expect(of('answered', { ...block, content_block: { type: 'redacted_thinking' } })?.usage).toEqual(unknown)
    expect(of('answered', { type: 'error', error: { type: 'overloaded_error' } })?.usage).toEqual(unknown)
    expect(of('answered', block, { type: 'message_delta', delta: {}, usage: { output_tokens: 7 } })?.usage?.outputTokens).toBe(7)
  })

  it('never throws on bytes of any kind', () => {
    for (const path of ['/v1/chat/completions', '/model/x/invoke', '/v1/chat', '/anything']) {
      for (const body of ['', 'null', '[]', '7', '"x"', '{', '\ufeff{}', '\0\0', '{"choices":{"0":1}}', '[{"error":{"code":5}}]']) {
        expect(concluded({ opening: { path }, body }).endReason).toBe('completed')
      }
    }
  })
})

describe('a WebSocket', () => {
  it('that was refused asked for the model of its query', () => {
    const exchange = concluded({
      opening: { path: '/v1/realtime', method: 'GET', queryModel: 'gpt-realtime' },
      ending: { status: 401 },
      body: { error: { type: 'invalid_request_error' } },
    })
    expect([exchange.request?.model, exchange.errorType, exchange.usageOutcome]).toEqual(['gpt-realtime', '401', undefined])
  })

  it.each([
    ['upstream', 1011, 'websocket_1011'],
    ['upstream', 1001, undefined],
    ['upstream', undefined, undefined],
    ['client', 4000, undefined],
  ] as const)('that the %s closes with %s has the error %s', (by, code, errorType) => {
    const session = { responseEndMs: [], close: { by, ...(code === undefined ? {} : { code }) } }
    const ending = { status: 101, streamed: true, framing: 'websocket', format: 'openai-realtime', session } as const
    expect(concluded({ opening: { path: '/v1/realtime', method: 'GET' }, ending }).errorType).toBe(errorType)
  })
})
