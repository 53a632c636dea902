/**
 * Ollama's own API: chat, generate, embed. The counts stand in the last line; `prompt_eval_count` is absent when an old Ollama served the
 * prompt from its cache, which is not zero. Adjustment: none. Source: https://github.com/ollama/ollama/blob/main/docs/api.md
 */
import type { RequestFacts } from '../../lib/exchange.ts'
import { array, at, boolean, count, type Json, number, object, string, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, learn, usageOf } from './learn.ts'
import { endsWith, endsWithAny } from './paths.ts'
import { noBody, outputTypeOf, requestFacts } from './request.ts'

export const ollama: Format = {
  name: 'ollama',
  provider: 'ollama',
  wantedKeys: ['done_reason', 'total_duration', 'eval_count', 'prompt_eval_count', 'error'],
  claims: (method, path) => method === 'POST' && endsWithAny(path, ['/api/chat', '/api/generate', '/api/embed', '/api/embeddings']),
  recognises: (message) => {
    if (boolean(at(message, 'done')) !== undefined && string(at(message, 'created_at')) !== undefined) return true
    // `/api/embed` and, before it, `/api/embeddings`.
    return at(message, 'total_duration') !== undefined || typeof array(at(message, 'embedding'))?.[0] === 'number'
  },
  readRequest,
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    const done = body['done'] === true
    const reason = text(body['done_reason'])
    return learn(facts, {
      model: text(body['model']),
      finishReasons: reason === undefined ? undefined : [reason],
      usage: usageOf({ inputTokens: count(body['prompt_eval_count']), outputTokens: count(body['eval_count']) }),
      finished: done || undefined,
      error: errorOf(body),
    })
  },
}

function operationOf(path: string): string {
  if (endsWithAny(path, ['/api/embed', '/api/embeddings'])) return 'embeddings'
  return endsWith(path, '/api/generate') ? 'text_completion' : 'chat'
}

function readRequest(json: Json | undefined, path: string): RequestFacts {
  const body = object(json) ?? noBody
  const options = object(body['options']) ?? noBody
  const operation = operationOf(path)
  return requestFacts({
    operation,
    // The old embeddings API reports none.
    usageExpected: !endsWith(path, '/api/embeddings'),
    model: text(body['model']),
    // Ollama streams unless told not to.
    stream: operation === 'embeddings' ? undefined : (boolean(body['stream']) ?? true),
    maxTokens: count(options['num_predict']),
    temperature: number(options['temperature']),
    topP: number(options['top_p']),
    topK: number(options['top_k']),
    frequencyPenalty: number(options['frequency_penalty']),
    presencePenalty: number(options['presence_penalty']),
    seed: number(options['seed']),
    outputType: outputTypeOf(body['format']),
  })
}
