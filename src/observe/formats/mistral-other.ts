/**
 * Mistral's own APIs: agent conversations, and OCR, which is billed by the page.
 * Adjustment: what connectors (web search …) put into the prompt is counted beside it, in `connector_tokens`; input includes it when the
 * total does. Sources: https://docs.mistral.ai/agents/agents_basics, https://docs.mistral.ai/capabilities/document_ai/basic_ocr
 */
import type { Usage } from '../../lib/exchange.ts'
import { at, boolean, count, type Json, number, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn, namedError, usageLesson } from './learn.ts'
import { openaiUsage } from './openai-usage.ts'
import { endsWith } from './paths.ts'
import { noBody, outputTypeOf, requestFacts } from './request.ts'

const conversationPath = /\/conversations(\/[^/]+)?\/?$/

export const mistralConversations: Format = {
  name: 'mistral-conversations',
  provider: 'mistral_ai',
  wantedKeys: ['usage', 'error', 'code'],
  // OpenAI keeps conversations at the same path, but makes no answers there: such a request has no inputs.
  claims: (method, path) => method === 'POST' && conversationPath.test(path),
  recognises: (message) =>
    at(message, 'object') === 'conversation.response' || (text(at(message, 'type')) ?? '').startsWith('conversation.response.'),
  readRequest(json, path) {
    const body = object(json) ?? noBody
    const settings = object(body['completion_args']) ?? noBody
    return requestFacts({
      operation: 'inputs' in body ? 'chat' : 'create_conversation',
      usageExpected: 'inputs' in body,
      model: text(body['model']) ?? text(body['agent_id']),
      stream: boolean(body['stream']),
      maxTokens: count(settings['max_tokens']),
      temperature: number(settings['temperature']),
      topP: number(settings['top_p']),
      seed: number(settings['random_seed']),
      outputType: outputTypeOf(settings['response_format']),
      conversationId: conversationPath.exec(path)?.[1]?.slice(1),
    })
  },
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    const type = text(body['type'])
    const failed = type === 'conversation.response.error' ? namedError(idText(body['code']) ?? 'error', text(body['message'])) : undefined
    return learn(facts, {
      id: idText(body['conversation_id']),
      ...usageLesson(withConnectors(body['usage']), body['usage']),
      finished: type === 'conversation.response.done' || body['object'] === 'conversation.response' || undefined,
      error: failed ?? errorOf(body),
    })
  },
}

function withConnectors(value: Json | undefined): Usage | undefined {
  const usage = openaiUsage(value)
  const connectors = count(at(value, 'connector_tokens'))
  if (usage?.inputTokens === undefined || connectors === undefined) return usage
  const beside = usage.totalTokens === usage.inputTokens + (usage.outputTokens ?? 0) + connectors
  return beside ? { ...usage, inputTokens: usage.inputTokens + connectors } : usage
}

export const mistralOcr: Format = {
  name: 'mistral-ocr',
  provider: 'mistral_ai',
  wantedKeys: undefined,
  claims: (method, path) => method === 'POST' && endsWith(path, '/v1/ocr'),
  recognises: (message) => at(message, 'usage_info', 'pages_processed') !== undefined,
  readRequest: (json) => requestFacts({ operation: 'ocr', usageExpected: false, model: text(at(json, 'model')) }),
  readResponse(facts, message) {
    const body = object(message)
    return body === undefined ? facts : learn(facts, { model: text(body['model']), error: errorOf(body) })
  },
}
