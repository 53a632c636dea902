import { describe, expect, it } from 'vitest'
import type { Ending, ResponseFacts } from '../../src/lib/exchange.ts'
import { asked, chatBody, concluded, cut, type Given, left, stopped, streamed, usage } from './exchanges.ts'

const session = (response: ResponseFacts, more: Partial<Ending> = {}) =>
  streamed(response, { status: 101, framing: 'websocket', format: 'openai-realtime', ...more })
const given = (response: ResponseFacts, more: Partial<Ending> = {}): Given => ({
  opening: { path: '/v1/realtime', method: 'GET' },
  ending: session(response, more),
})
const responses = { ended: 1, underWay: 0, last: [] }

describe('the usage outcome of', () => {
  const table: readonly (readonly [title: string, given: Given, outcome: string | undefined, reason: string | undefined])[] = [
    ['a whole answer with usage', { body: chatBody }, 'reported', undefined],
    ['a whole answer without usage', { body: { choices: [] } }, 'missing', 'upstream_omitted'],
    ['a whole answer with 0/0', { body: { usage: { prompt_tokens: 0, completion_tokens: 0 } } }, 'zero', undefined],
    ['an answer with output 0 and input more', { body: { usage: { prompt_tokens: 3, completion_tokens: 0 } } }, 'reported', undefined],
    ['an answer with output 0 and input unknown', { body: { usage: { completion_tokens: 0 } } }, 'zero', undefined],
    ['a whole answer that is broken JSON', { body: '{"usage":' }, 'undecodable', 'parse_error'],
    ['a whole answer with usage that nobody understands', { body: { usage: { prompt_tokens: 'many' } } }, 'undecodable', 'parse_error'],
    ['a whole answer in an unknown encoding', { body: 'x', ending: { contentEncoding: 'weir' } }, 'undecodable', 'unsupported_encoding'],
    ['a whole answer that was too long to keep', { ending: { notes: ['limit_hit'], responseBytes: 9 } }, 'undecodable', 'limit_hit'],
    ['a whole answer that was not handed over', { ending: { responseBytes: 9 } }, 'undecodable', 'limit_hit'],
    ['a whole answer that was cut', { body: '{"usage":', ending: { outcome: cut } }, 'missing', 'upstream_cut'],
    ['a whole answer cut after its last brace', { body: chatBody, ending: { outcome: left } }, 'reported', undefined],
    ['a stream with usage', { ending: streamed({ usage, finished: true }) }, 'reported', undefined],
    ['a stream with usage and no terminal event', { ending: streamed({ usage }) }, 'reported', undefined],
    ['a stream with 0/0', { ending: streamed({ usage: { inputTokens: 0, outputTokens: 0 } }) }, 'zero', undefined],
    ['a stream that did not ask', { request: { stream: true }, ending: streamed({ finished: true }) }, 'missing', 'not_requested'],
    [
      'a stream that said no',
      { request: { stream: true, stream_options: { include_usage: false } }, ending: streamed({ finished: true }) },
      'missing',
      'not_requested',
    ],
    ['a stream that asked', { request: asked, ending: streamed({ finished: true }) }, 'missing', 'upstream_omitted'],
    [
      'a stream for which the sidecar asked',
      { request: { stream: true }, ending: streamed({ finished: true }, { notes: ['usage_injected'] }) },
      'missing',
      'upstream_omitted',
    ],
    [
      'a stream of an API that need not be asked',
      { opening: { path: '/v1/messages' }, ending: streamed({ finished: true }, { format: 'anthropic-messages' }) },
      'missing',
      'upstream_omitted',
    ],
    ['a stream that the client left', { request: asked, ending: streamed({}, { outcome: left }) }, 'missing', 'client_left'],
    ['a stream that the client left after some counts', { ending: streamed({ usage }, { outcome: left }) }, 'partial', 'client_left'],
    [
      'a stream that the client left after its end',
      { ending: streamed({ usage, finished: true }, { outcome: left }) },
      'reported',
      undefined,
    ],
    [
      'a stream without usage that the client left after its end',
      { request: asked, ending: streamed({ finished: true }, { outcome: left }) },
      'missing',
      'upstream_omitted',
    ],
    ['a stream that the upstream cut', { request: asked, ending: streamed({}, { outcome: cut }) }, 'missing', 'upstream_cut'],
    ['a stream that the upstream cut after some counts', { ending: streamed({ usage }, { outcome: cut }) }, 'partial', 'upstream_cut'],
    ['a stream that the sidecar\u2019s stop cut', { ending: streamed({ usage }, { outcome: stopped }) }, 'partial', 'sidecar_stopped'],
    ['a stream that an error ended', { request: asked, ending: streamed({ error: { type: 'overloaded' } }) }, 'missing', 'upstream_cut'],
    [
      'a stream that an error ended after some counts',
      { ending: streamed({ usage, error: { type: 'overloaded' } }) },
      'partial',
      'upstream_cut',
    ],
    [
      'a stream that ended after an error with usage',
      { ending: streamed({ usage, error: { type: '400' }, finished: true }) },
      'reported',
      undefined,
    ],
    [
      'a stream with a message that nobody could read',
      { request: asked, ending: streamed({}, { notes: ['parse_error'] }) },
      'undecodable',
      'parse_error',
    ],
    [
      'a stream whose last message was cut',
      { request: asked, ending: streamed({}, { notes: ['parse_error'], outcome: left }) },
      'missing',
      'client_left',
    ],
    [
      'a stream whose observer failed',
      { request: asked, ending: streamed({}, { notes: ['observer_failed'] }) },
      'undecodable',
      'parse_error',
    ],
    ['a stream with usage and a broken message', { ending: streamed({ usage }, { notes: ['parse_error'] }) }, 'reported', undefined],
    [
      'a stream in an unknown encoding',
      { ending: streamed({}, { notes: ['unsupported_encoding'] }) },
      'undecodable',
      'unsupported_encoding',
    ],
    ['a stream with a message beyond the limit', { ending: streamed({}, { notes: ['limit_hit'] }) }, 'undecodable', 'limit_hit'],
    [
      'a stream that no format recognises',
      { opening: { path: '/stream' }, ending: { streamed: true, framing: 'sse' } },
      'undecodable',
      'unknown_format',
    ],
    [
      'a stream to a GET',
      { opening: { path: '/stream', method: 'GET' }, ending: { streamed: true, framing: 'sse' } },
      undefined,
      undefined,
    ],
    ['a whole answer that no format recognises', { opening: { path: '/users' }, body: { name: 'x' } }, undefined, undefined],
    ['a refused request', { ending: { status: 429 }, body: { error: { message: 'slow' } } }, undefined, undefined],
    ['a request without an answer', { ending: { status: undefined, outcome: left, framing: 'none' } }, undefined, undefined],
    ['tokens counted in advance', { opening: { path: '/v1/messages/count_tokens' }, body: { input_tokens: 13 } }, undefined, undefined],
    [
      'a stored response',
      { opening: { path: '/v1/responses/resp_weir', method: 'GET' }, body: { id: 'r', usage: { input_tokens: 9 } } },
      undefined,
      undefined,
    ],
    [
      'a rerank billed by searches',
      { opening: { path: '/v1/rerank' }, body: { results: [], meta: { billed_units: { search_units: 1 } } } },
      undefined,
      undefined,
    ],
    ['a rerank with tokens', { opening: { path: '/v1/rerank' }, body: { usage: { total_tokens: 5 } } }, 'reported', undefined],
    [
      'a transcription billed by seconds',
      { opening: { path: '/v1/audio/transcriptions' }, body: { usage: { type: 'duration', seconds: 7 } } },
      undefined,
      undefined,
    ],
    ['subtitles as plain text', { opening: { path: '/v1/audio/transcriptions' }, body: 'WEBVTT' }, undefined, undefined],
    [
      'a transcription of a model that is billed by tokens',
      { opening: { path: '/v1/audio/transcriptions' }, request: { model: 'gpt-4o-transcribe' }, body: { text: 'a' } },
      'missing',
      'upstream_omitted',
    ],
    [
      'speech as sound',
      {
        opening: { path: '/v1/audio/speech' },
        ending: { framing: 'none', responseHeaders: { 'content-type': 'audio/mpeg' } },
        request: { model: 'tts-1' },
      },
      undefined,
      undefined,
    ],
    [
      'a chat that is answered in sound',
      { ending: { framing: 'none', responseHeaders: { 'content-type': 'audio/wav' } } },
      undefined,
      undefined,
    ],
    ['a picture billed as such', { opening: { path: '/v1/images/generations' }, body: { data: [{ url: 'u' }] } }, undefined, undefined],
    [
      'a picture billed by tokens, without any',
      { opening: { path: '/v1/images/generations' }, request: { model: 'gpt-image-1' }, body: { data: [{ b64_json: 'a' }] } },
      'missing',
      'upstream_omitted',
    ],
    [
      'an embedding of Gemini, which reports none',
      { opening: { path: '/v1beta/models/weir:embedContent' }, body: { embedding: { values: [0.1] } } },
      undefined,
      undefined,
    ],
    [
      'tokens counted in advance on Vertex AI',
      { opening: { path: '/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict' }, body: { input_tokens: 14 } },
      undefined,
      undefined,
    ],
    [
      'a picture at DashScope\u2019s path for chats',
      {
        opening: { path: '/api/v1/services/aigc/multimodal-generation/generation' },
        request: { model: 'qwen-image-plus' },
        body: { output: { choices: [{ finish_reason: 'stop' }] }, usage: { image_count: 1, width: 9, height: 9 }, request_id: 'r' },
      },
      undefined,
      undefined,
    ],
    ['a tool call of MCP', { opening: { path: '/tools' }, body: { jsonrpc: '2.0', id: 1, result: {} } }, undefined, undefined],
    [
      'a tool call of MCP as a stream of which nothing came',
      { opening: { path: '/tools' }, request: { jsonrpc: '2.0', id: 1, method: 'x' }, ending: { streamed: true, framing: 'sse' } },
      undefined,
      undefined,
    ],
    ['TGI\u2019s body without details', { opening: { path: '/generate' }, body: { generated_text: 'a' } }, 'missing', 'not_requested'],
    ['an own app at TGI\u2019s path', { opening: { path: '/generate' }, body: { url: 'u' } }, undefined, undefined],
    [
      'a stream that was closed politely before its end',
      { request: asked, ending: streamed({ id: 'c', model: 'm' }) },
      'missing',
      'upstream_cut',
    ],
    [
      'a stream that was closed politely before its end, after some counts',
      { ending: streamed({ id: 'c', model: 'm', usage }) },
      'partial',
      'upstream_cut',
    ],
    [
      'a stream that was closed politely while one of its choices went on',
      { ending: streamed({ id: 'c', model: 'm', usage, finishReasons: ['stop', ''] }) },
      'partial',
      'upstream_cut',
    ],
    [
      'a stream with a finish reason and no other end',
      { ending: streamed({ id: 'c', model: 'm', usage, finishReasons: ['stop'] }) },
      'reported',
      undefined,
    ],
    [
      'a stream whose format has no end',
      { opening: { path: '/x' }, ending: streamed({ id: 'c', model: 'm', usage }, { format: 'usage-vocabulary' }) },
      'reported',
      undefined,
    ],
    [
      'a WebSocket with usage',
      { opening: { path: '/v1/realtime', method: 'GET' }, ending: session({ usage, finished: true }) },
      'reported',
      undefined,
    ],
    ['a WebSocket whose upstream said 0', given({ usage: { inputTokens: 0, outputTokens: 0 }, finished: true }), 'zero', undefined],
    [
      'a WebSocket with usage, one of whose messages was too long to be read',
      given({ usage, finished: true }, { notes: ['limit_hit'] }),
      'partial',
      'limit_hit',
    ],
    ['a WebSocket with usage, left amid a response', given({ usage, finished: false }, { outcome: left }), 'partial', 'client_left'],
    ['a WebSocket with usage, left after a response', given({ usage, finished: true }, { outcome: left }), 'reported', undefined],
    ['a WebSocket on which nothing was asked', given({}), undefined, undefined],
    ['a WebSocket on which nothing was asked, cut', given({}, { outcome: stopped }), undefined, undefined],
    ['a WebSocket that could not be read', given({}, { notes: ['unsupported_encoding'] }), 'undecodable', 'unsupported_encoding'],
    ['a WebSocket whose responses say nothing of usage', given({ responses, finished: true }), 'missing', 'upstream_omitted'],
    [
      'a WebSocket that was cut amid its first response',
      given({ responses, finished: false }, { outcome: stopped }),
      'missing',
      'sidecar_stopped',
    ],
  ]

  it.each(table)('%s', (_title, given, outcome, reason) => {
    const exchange = concluded(given)
    expect([exchange.usageOutcome, exchange.usageReason]).toEqual([outcome, reason])
  })
})
