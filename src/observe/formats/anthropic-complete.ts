/**
 * Anthropic's legacy text completions, which report no usage. On Bedrock its events come through `bedrock-invoke.ts`.
 * Source: https://docs.claude.com/en/api/complete
 */
import type { ResponseFacts } from '../../lib/exchange.ts'
import { at, type Json, object, text } from '../../lib/json.ts'
import { readMessagesRequest } from './anthropic-messages.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn } from './learn.ts'
import { endsWith } from './paths.ts'

export const anthropicComplete: Format = {
  name: 'anthropic-complete',
  provider: 'anthropic',
  wantedKeys: ['stop_reason', 'error'],
  claims: (method, path) => method === 'POST' && endsWith(path, '/complete'),
  recognises: (message) => at(message, 'type') === 'completion',
  // Usage is never in the answer, and its absence is no fault of the stream.
  readRequest: (json) => ({ ...readMessagesRequest(json, undefined), operation: 'text_completion', usageExpected: false }),
  readResponse: readTextCompletion,
}

export function readTextCompletion(facts: ResponseFacts, message: Json): ResponseFacts {
  const body = object(message)
  if (body === undefined) return facts
  const reason = text(body['stop_reason'])
  return learn(facts, {
    id: idText(body['id']),
    model: text(body['model']),
    finishReasons: reason === undefined ? undefined : [reason],
    finished: reason === undefined ? undefined : true,
    error: errorOf(body),
  })
}
