import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type SampleGateway, startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { at, type Json, type JsonObject, parseJson } from '../../src/lib/json.ts'

let gateway: SampleGateway
beforeAll(async () => {
  gateway = await startSampleGateway()
})
afterAll(() => gateway.close())

const messages = [{ role: 'user', content: 'How much water went through the gate?' }]

async function post(path: string, body: JsonObject, headers: Readonly<Record<string, string>> = { 'accept-encoding': 'identity' }) {
  const response = await fetch(`${gateway.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  const text = await response.text()
  return { status: response.status, type: response.headers.get('content-type'), text, json: parseJson(text) }
}

/** The events of a stream, strictly: LF framing, an optional event line, one data line. */
function events(text: string): { readonly event: string | undefined; readonly data: string }[] {
  expect(text.endsWith('\n\n')).toBe(true)
  return text
    .slice(0, -2)
    .split('\n\n')
    .map((block) => {
      const [, event, data] = /^(?:event: (\S+)\n)?data: ([^\n]+)$/.exec(block) ?? []
      return { event, data: data ?? `not an event: ${block}` }
    })
}

const jsons = (text: string): readonly (Json | undefined)[] => events(text).map(({ data }) => parseJson(data))
const lastSent = () => gateway.sent.at(-1)

describe('OpenAI chat', () => {
  it('answers whole with its usage', async () => {
    const { status, type, json } = await post('/v1/chat/completions', { model: 'gpt-4o', messages })
    const usage = lastSent()?.usage
    expect({ status, type, json }).toEqual({
      status: 200,
      type: 'application/json',
      json: {
        id: expect.stringMatching(/^chatcmpl-\w{29}$/),
        object: 'chat.completion',
        created: expect.any(Number),
        model: 'gpt-4o-2026-03-11',
        service_tier: 'default',
        system_fingerprint: expect.stringMatching(/^fp_[0-9a-f]{10}$/),
        choices: [
          {
            index: 0,
            message: { role: 'assistant', content: expect.any(String), refusal: null, annotations: [] },
            logprobs: null,
            finish_reason: 'stop',
          },
        ],
        usage: {
          prompt_tokens: usage?.inputTokens,
          completion_tokens: usage?.outputTokens,
          total_tokens: usage?.totalTokens,
          prompt_tokens_details: { cached_tokens: usage?.cacheReadTokens, audio_tokens: 0 },
          completion_tokens_details: {
            reasoning_tokens: 0,
            audio_tokens: 0,
            accepted_prediction_tokens: 0,
            rejected_prediction_tokens: 0,
          },
        },
      },
    })
  })

  it('streams without one word on usage when the client did not ask', async () => {
    const { type, text } = await post('/v1/chat/completions', { model: 'gpt-4o', messages, stream: true })
    const found = events(text)
    expect([type, found.at(-1)?.data, text.includes('"usage"'), lastSent()?.usage]).toEqual([
      'text/event-stream; charset=utf-8',
      '[DONE]',
      false,
      undefined,
    ])
    const chunks = found.slice(0, -1).map(({ data }) => parseJson(data))
    const choices = chunks.map((chunk) => at(chunk, 'choices') as readonly Json[])
    expect(choices.map((list) => list.length)).toEqual(choices.map(() => 1))
    expect(choices.at(0)).toEqual([
      { index: 0, delta: { role: 'assistant', content: '', refusal: null }, logprobs: null, finish_reason: null },
    ])
    expect(choices.at(-1)).toEqual([{ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' }])
    expect(new Set(chunks.map((chunk) => at(chunk, 'id'))).size).toBe(1)
  })

  it('streams a null usage in each chunk and one chunk more when the client asked', async () => {
    const { text } = await post('/v1/chat/completions', {
      model: 'gpt-4o',
      messages,
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks = jsons(text).slice(0, -1)
    expect(chunks.slice(0, -1).every((chunk) => at(chunk, 'usage') === null)).toBe(true)
    const last = chunks.at(-1)
    expect([at(last, 'choices'), at(last, 'usage', 'prompt_tokens'), at(last, 'usage', 'completion_tokens')]).toEqual([
      [],
      lastSent()?.usage?.inputTokens,
      lastSent()?.usage?.outputTokens,
    ])
    expect(Object.keys(last as JsonObject)).not.toContain('obfuscation')
  })

  it('says the same counts streamed or not, and others for another prompt', async () => {
    const ask = async (body: JsonObject) => {
      await post('/v1/chat/completions', { model: 'gpt-4o', messages, ...body })
      return lastSent()?.usage
    }
    const whole = await ask({})
    expect(await ask({ stream: true, stream_options: { include_usage: true } })).toEqual(whole)
    expect(await ask({ messages: [{ role: 'user', content: 'Something else.' }] })).not.toEqual(whole)
  })

  it('refuses stream_options without stream, as OpenAI does', async () => {
    const { status, json } = await post('/v1/chat/completions', { model: 'gpt-4o', messages, stream_options: { include_usage: true } })
    expect({ status, json }).toEqual({
      status: 400,
      json: {
        error: {
          message: "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
          type: 'invalid_request_error',
          param: 'stream_options',
          code: null,
        },
      },
    })
  })

  it('stops at the length that was asked for', async () => {
    const { json } = await post('/v1/chat/completions', { model: 'gpt-5', messages, max_completion_tokens: 5, n: 2 })
    const choices = at(json, 'choices') as readonly Json[]
    expect(choices.map((choice) => at(choice, 'finish_reason'))).toEqual(['length', 'length'])
    expect(lastSent()?.usage).toEqual(expect.objectContaining({ outputTokens: 5, reasoningTokens: 5 }))
  })
})

describe('the other OpenAI formats', () => {
  it('stream legacy completions with usage only when asked', async () => {
    const body = { model: 'gpt-3.5-turbo-instruct', prompt: 'Once', stream: true }
    const silent = await post('/v1/completions', body)
    expect([silent.text.includes('"usage"'), lastSent()?.usage]).toEqual([false, undefined])
    const asked = await post('/v1/completions', { ...body, stream_options: { include_usage: true } })
    expect(at(jsons(asked.text).at(-2), 'usage', 'total_tokens')).toBe(lastSent()?.usage?.totalTokens)
    expect(at(jsons(asked.text).at(0), 'object')).toBe('text_completion')
  })

  it('embed with input tokens alone', async () => {
    const { json } = await post('/v1/embeddings', { model: 'text-embedding-3-small', input: ['a', 'b'], dimensions: 3 })
    const data = at(json, 'data') as readonly Json[]
    const tokens = at(json, 'usage', 'prompt_tokens')
    expect(data.map((item) => (at(item, 'embedding') as readonly Json[]).length)).toEqual([3, 3])
    expect([at(json, 'usage'), lastSent()?.usage]).toEqual([
      { prompt_tokens: tokens, total_tokens: tokens },
      { inputTokens: tokens, totalTokens: tokens },
    ])
  })

  it('answer responses in numbered, named events with the usage in the last', async () => {
    const { text } = await post('/v1/responses', { model: 'gpt-5', input: 'How much?', stream: true })
    const found = events(text)
    const parsed = found.map(({ data }) => parseJson(data))
    expect(parsed.map((event) => at(event, 'type'))).toEqual(found.map(({ event }) => event))
    expect(parsed.map((event) => at(event, 'sequence_number'))).toEqual(parsed.map((_, index) => index))
    expect([...new Set(found.map(({ event }) => event))]).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ])
    const usage = lastSent()?.usage
    expect(at(parsed.at(-1), 'response', 'usage')).toEqual({
      input_tokens: usage?.inputTokens,
      input_tokens_details: { cached_tokens: usage?.cacheReadTokens },
      output_tokens: usage?.outputTokens,
      output_tokens_details: { reasoning_tokens: usage?.reasoningTokens },
      total_tokens: usage?.totalTokens,
    })
  })

  it('end a response that was too long as incomplete, streamed or not', async () => {
    const body = { model: 'gpt-5', input: 'How much?', max_output_tokens: 5 }
    const streamed = await post('/v1/responses', { ...body, stream: true })
    const whole = await post('/v1/responses', body)
    expect([events(streamed.text).at(-1)?.event, at(whole.json, 'status'), at(whole.json, 'incomplete_details')]).toEqual([
      'response.incomplete',
      'incomplete',
      { reason: 'max_output_tokens' },
    ])
  })

  it('list the models', async () => {
    const listed = (await (await fetch(`${gateway.url}/v1/models`)).json()) as Json
    expect([at(listed, 'object'), at((at(listed, 'data') as readonly Json[])[2], 'owned_by')]).toEqual(['list', 'anthropic'])
  })
})

describe('Anthropic messages', () => {
  const body = { model: 'claude-sonnet-5-5', max_tokens: 500, messages }

  it('tell the input without the cached tokens', async () => {
    const { json } = await post('/v1/messages', body)
    const usage = at(json, 'usage')
    const count = (key: string) => at(usage, key) as number
    expect(count('input_tokens') + count('cache_read_input_tokens') + count('cache_creation_input_tokens')).toBe(
      lastSent()?.usage?.inputTokens,
    )
    expect([at(json, 'type'), at(json, 'stop_reason'), at(json, 'id')]).toEqual([
      'message',
      'end_turn',
      expect.stringMatching(/^msg_01\w{22}$/),
    ])
  })

  it('stream the input in the first event and the output in the last but one', async () => {
    const whole = at((await post('/v1/messages', body)).json, 'usage')
    const { text } = await post('/v1/messages', { ...body, stream: true })
    const found = events(text)
    const parsed = found.map(({ data }) => parseJson(data))
    expect([...new Set(found.map(({ event }) => event))]).toEqual([
      'message_start',
      'content_block_start',
      'ping',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ])
    expect(at(parsed[0], 'message', 'usage')).toEqual({ ...(whole as JsonObject), output_tokens: 1 })
    expect(parsed.at(-2)).toEqual({
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { output_tokens: at(whole, 'output_tokens') },
    })
  })
})

describe('Gemini generateContent', () => {
  const body = { contents: [{ role: 'user', parts: [{ text: 'How much?' }] }] }

  it('repeats the usage so far in each event, framed with CR LF', async () => {
    const { text, type } = await post('/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse', body)
    const blocks = text.split('\r\n\r\n')
    const parsed = blocks.slice(0, -1).map((block) => parseJson(block.replace(/^data: /, '')))
    const outputs = parsed.map((chunk) => at(chunk, 'usageMetadata', 'candidatesTokenCount') as number)
    expect([type, blocks.at(-1), outputs]).toEqual(['text/event-stream', '', outputs.toSorted((a, b) => a - b)])
    const last = at(parsed.at(-1), 'usageMetadata')
    const usage = lastSent()?.usage
    expect([at(last, 'totalTokenCount'), at(last, 'promptTokenCount'), at(last, 'thoughtsTokenCount')]).toEqual([
      usage?.totalTokens,
      usage?.inputTokens,
      usage?.reasoningTokens,
    ])
    expect((outputs.at(-1) ?? 0) + (usage?.reasoningTokens ?? 0)).toBe(usage?.outputTokens)
  })

  it('streams one JSON array without alt=sse', async () => {
    const { json, type } = await post('/v1beta/models/gemini-2.5-flash:streamGenerateContent', body)
    expect(type).toBe('application/json; charset=UTF-8')
    expect(at((json as readonly Json[]).at(-1), 'usageMetadata', 'totalTokenCount')).toBe(lastSent()?.usage?.totalTokens)
  })

  it('answers whole', async () => {
    const { json } = await post('/v1beta/models/gemini-2.0-flash:generateContent', body)
    expect([
      at(json, 'modelVersion'),
      at(json, 'usageMetadata', 'totalTokenCount'),
      at(json, 'usageMetadata', 'thoughtsTokenCount'),
    ]).toEqual(['gemini-2.0-flash', lastSent()?.usage?.totalTokens, undefined])
  })
})

describe('a model named after a fault', () => {
  const formats = [
    ['/v1/chat/completions', { messages }],
    ['/v1/responses', { input: 'a' }],
    ['/v1/messages', { messages, max_tokens: 50 }],
  ] as const

  it.each(formats)('silent-1 never says what it used: %s', async (path, body) => {
    const whole = await post(path, { ...body, model: 'silent-1' })
    const streamed = await post(path, {
      ...body,
      model: 'silent-1',
      stream: true,
      ...(path.includes('chat') ? { stream_options: { include_usage: true } } : {}),
    })
    expect([whole.status, streamed.status]).toEqual([200, 200])
    expect((whole.text + streamed.text).match(/_tokens"/g)).toBe(null)
    expect(gateway.sent.slice(-2).map(({ usage }) => usage)).toEqual([undefined, undefined])
  })

  it.each(formats)('cut-1 breaks the connection half-way: %s', async (path, body) => {
    for (const stream of [false, true]) {
      await expect(post(path, { ...body, model: 'cut-1', stream })).rejects.toThrow('terminated')
      await expect.poll(() => lastSent()).toEqual(expect.objectContaining({ path, streamed: stream, status: 200, ended: 'cut' }))
    }
  })

  it.each(formats)('broken-1 reports an error after 200: %s', async (path, body) => {
    const { status, text } = await post(path, { ...body, model: 'broken-1', stream: true })
    const last = jsons(text).at(-1)
    expect([status, at(last, 'error') ?? at(last, 'response', 'error')]).toEqual([
      200,
      expect.objectContaining({ message: expect.any(String) }),
    ])
    expect((await post(path, { ...body, model: 'broken-1' })).status).toBe(500)
  })

  it('broken-1 closes the JSON array of a Gemini stream with the error', async () => {
    const { json } = await post('/v1beta/models/broken-1:streamGenerateContent', { contents: 'How much went through it?' })
    expect((json as readonly Json[]).at(-1)).toEqual({
      error: { code: 503, message: 'The model is overloaded. Please try again later.', status: 'UNAVAILABLE' },
    })
  })

  it('error-… fails a Gemini JSON array as an array', async () => {
    const { status, json } = await post('/v1beta/models/error-429:streamGenerateContent', {})
    expect([status, json]).toEqual([
      429,
      [{ error: { code: 429, message: 'You exceeded your current quota.', status: 'RESOURCE_EXHAUSTED' } }],
    ])
  })

  it('strict-1 answers 400 to stream_options', async () => {
    const body = { model: 'strict-1', messages, stream: true }
    expect([
      (await post('/v1/chat/completions', body)).status,
      (await post('/v1/chat/completions', { ...body, stream_options: {} })).status,
    ]).toEqual([200, 400])
  })

  it('zero-1 says that it used nothing', async () => {
    await post('/v1/chat/completions', { model: 'zero-1', messages })
    expect(lastSent()?.usage).toEqual({ inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, reasoningTokens: 0, totalTokens: 0 })
  })

  it.each([
    ['/v1/chat/completions', 'error-429', 429, { type: 'rate_limit_exceeded' }],
    ['/v1/messages', 'error-529', 529, { type: 'overloaded_error' }],
    ['/v1beta/models/error-503:generateContent', '', 503, { status: 'UNAVAILABLE' }],
    ['/v1beta/models/error-503:streamGenerateContent?alt=sse', '', 503, { status: 'UNAVAILABLE' }],
  ])('error-… answers with that status: %s %s', async (path, model, status, error) => {
    const answer = await post(path, { model })
    expect([answer.status, at(answer.json, 'error')]).toEqual([status, expect.objectContaining(error)])
  })
})

describe('on the wire', () => {
  it('compresses only for clients that accept gzip', async () => {
    const body = JSON.stringify({ model: 'gpt-4o', messages, stream: true })
    const raw = async (accepted: string) => {
      const { request } = await import('node:http')
      return await new Promise<{ encoding: string | undefined; bytes: Buffer }>((resolve, reject) => {
        const sending = request(
          `${gateway.url}/v1/chat/completions`,
          { method: 'POST', headers: { 'accept-encoding': accepted } },
          async (answer) => {
            resolve({ encoding: answer.headers['content-encoding'], bytes: Buffer.concat(await answer.toArray()) })
          },
        )
        sending.on('error', reject).end(body)
      })
    }
    const zipped = await raw('br, gzip')
    const plain = await raw('gzip;q=0, identity')
    expect([zipped.encoding, plain.encoding]).toEqual(['gzip', undefined])
    expect(gunzipSync(zipped.bytes).toString().endsWith('data: [DONE]\n\n')).toBe(true)
    expect(plain.bytes.toString().endsWith('data: [DONE]\n\n')).toBe(true)
  })

  it('compresses for nobody when told so', async () => {
    const plain = await startSampleGateway({ gzip: false })
    const response = await fetch(`${plain.url}/v1/models`, { headers: { 'accept-encoding': 'gzip' } })
    expect([response.headers.get('content-encoding'), response.headers.get('content-length')]).toEqual([
      null,
      String((await response.text()).length),
    ])
    await plain.close()
  })

  it('notices a client that leaves, and remembers what it had sent by then', async () => {
    const slow = await startSampleGateway({ eventMs: 20 })
    const leave = new AbortController()
    const response = await fetch(`${slow.url}/v1/messages`, {
      method: 'POST',
      body: JSON.stringify({ model: 'claude-x', messages, max_tokens: 500, stream: true }),
      signal: leave.signal,
    })
    await response.body?.getReader().read()
    leave.abort()
    await expect
      .poll(() => slow.sent)
      .toEqual([expect.objectContaining({ ended: 'client-left', usage: expect.objectContaining({ outputTokens: 1 }) })])
    await slow.close()
  })

  it.each([
    ['/v1/nothing', '{}', 404, 'invalid_request_error'],
    ['/v1/chat/completions', '{', 400, 'invalid_request_error'],
    ['/v1/chat/completions', '[1]', 400, 'invalid_request_error'],
    ['/v1/messages', 'x', 400, 'invalid_request_error'],
  ])('answers nonsense as the provider does: %s %s', async (path, body, status, type) => {
    const response = await fetch(`${gateway.url}${path}`, { method: 'POST', body })
    expect([response.status, at((await response.json()) as Json, 'error', 'type')]).toEqual([status, type])
  })
})
