/**
 * Gemini Interactions. Adjustment: input = total_input + total_tool_use; output = total_output + total_thought.
 * Source: https://ai.google.dev/api/interactions-api
 */
import type { ResponseFacts, Usage } from '../../lib/exchange.ts'
import { at, boolean, count, type Json, type JsonObject, number, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn, sumOfKnown, usageLesson, usageOf } from './learn.ts'
import { endsWith } from './paths.ts'
import { noBody, outputTypeOf, outputTypeOfModalities, requestFacts } from './request.ts'

const finalStatuses: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled', 'incomplete', 'requires_action'])

export const geminiInteractions: Format = {
  name: 'gemini-interactions',
  provider: 'gcp.gemini',
  wantedKeys: ['interaction', 'usage', 'error'],
  claims: (method, path) => method === 'POST' && endsWith(path, '/interactions'),
  recognises: (message) => at(message, 'object') === 'interaction' || (text(at(message, 'event_type')) ?? '').startsWith('interaction.'),
  readRequest(json) {
    const body = object(json) ?? noBody
    const config = object(body['generation_config']) ?? noBody
    const agent = text(body['agent'])
    const stream = boolean(body['stream'])
    return requestFacts({
      operation: agent === undefined ? 'generate_content' : 'invoke_agent',
      // A background interaction is answered while it is still in progress.
      usageExpected: body['background'] !== true || stream === true,
      model: text(body['model']) ?? agent,
      stream,
      maxTokens: count(config['max_output_tokens']),
      temperature: number(config['temperature']),
      topP: number(config['top_p']),
      topK: number(config['top_k']),
      seed: number(config['seed']),
      outputType: outputTypeOf(body['response_format']) ?? outputTypeOfModalities(body['response_modalities']),
    })
  },
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    const interaction = object(body['interaction']) ?? (body['object'] === 'interaction' ? body : undefined)
    return learn(facts, interaction === undefined ? { error: errorOf(body) } : interactionLesson(interaction))
  },
}

function interactionLesson(interaction: JsonObject): ResponseFacts {
  const status = text(interaction['status'])
  const final = status !== undefined && finalStatuses.has(status)
  const raw = interaction['usage']
  return {
    id: idText(interaction['id']),
    model: text(interaction['model']),
    finishReasons: final ? [status] : undefined,
    ...usageLesson(interactionUsage(raw), raw),
    finished: final || undefined,
    serviceTier: text(interaction['service_tier']),
    error: errorOf(interaction),
  }
}

function interactionUsage(value: Json | undefined): Usage | undefined {
  const usage = object(value)
  if (usage === undefined) return undefined
  const thoughts = count(usage['total_thought_tokens'])
  return usageOf({
    inputTokens: sumOfKnown(count(usage['total_input_tokens']), count(usage['total_tool_use_tokens'])),
    outputTokens: sumOfKnown(count(usage['total_output_tokens']), thoughts),
    cacheReadTokens: count(usage['total_cached_tokens']),
    reasoningTokens: thoughts,
    totalTokens: count(usage['total_tokens']),
  })
}
