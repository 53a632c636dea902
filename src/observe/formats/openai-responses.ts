/**
 * OpenAI Responses (also Azure, xAI, OpenRouter, DeepSeek, Bedrock Mantle). Every terminal event carries the response with its usage:
 * completed, incomplete and failed. Adjustment: none; input includes cached tokens, output includes reasoning.
 * Source: https://platform.openai.com/docs/api-reference/responses-streaming
 */
import type { ResponseFacts, Usage } from '../../lib/exchange.ts'
import { array, at, count, type Json, type JsonObject, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn, namedError, present, usageLesson } from './learn.ts'
import { openaiUsage } from './openai-usage.ts'
import { endsWithAny } from './paths.ts'
import { noBody, openaiSettings, outputTypeOf, requestFacts } from './request.ts'
import { signatureOf } from './signature.ts'

/** Statuses after which nothing more comes. */
const finalStatuses: ReadonlySet<string> = new Set(['completed', 'incomplete', 'failed', 'cancelled'])

export const openaiResponses: Format = {
  name: 'openai-responses',
  provider: 'openai',
  // `code` and `message`: the error event has no object around them.
  wantedKeys: ['response', 'error', 'code', 'message'],
  claims: (method, path) => method === 'POST' && endsWithAny(path, ['/responses', '/responses/compact']),
  recognises: (message) => {
    const kind = text(at(message, 'object')) ?? ''
    return kind === 'response' || kind.startsWith('response.') || (text(at(message, 'type')) ?? '').startsWith('response.')
  },
  readRequest(json) {
    const body = object(json) ?? noBody
    const settings = openaiSettings(body)
    return requestFacts({
      operation: 'chat',
      // A background response is answered while it is still queued; its usage is read back later.
      usageExpected: body['background'] !== true || settings.stream === true,
      ...settings,
      outputType: outputTypeOf(at(body, 'text', 'format')),
      conversationId: text(body['conversation']) ?? text(at(body, 'conversation', 'id')),
      openaiApiType: 'responses',
    })
  },
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    if (body['type'] === 'error') return learn(facts, { error: eventError(body) })
    const response = object(body['response'])
    if (response !== undefined) return learnResponse(facts, response, body)
    // What has no type is no event but the response itself, also from servers that leave out its `object`.
    return body['type'] === undefined ? learnResponse(facts, body, body) : learn(facts, { error: errorOf(body) })
  },
}

/** `{type: 'error', code, message}`, or with an object around them as some servers send it. */
export function eventError(body: JsonObject): ResponseFacts['error'] {
  return errorOf(body) ?? namedError(idText(body['code']) ?? 'error', text(body['message']))
}

/**
 * The response of a terminal event is the one that was billed. Perplexity's agent begins with the preset that was asked for as its model
 * and names the model that answered only there; GitHub Copilot gives each event another id.
 */
function learnResponse(facts: ResponseFacts, response: JsonObject, event: JsonObject): ResponseFacts {
  const lesson = responseLesson(response, event)
  if (lesson.finished !== true) return learn(facts, lesson)
  const { id = facts.id, model = facts.model } = lesson
  const known = id === facts.id && model === facts.model ? facts : present({ ...facts, id: undefined, model: undefined })
  return learn(known, { ...lesson, id, model })
}

/** What a response object says. */
function responseLesson(response: JsonObject, event: JsonObject): ResponseFacts {
  const status = text(response['status'])
  const final = finalStatuses.has(status ?? '') || response['object'] === 'response.compaction'
  const reason = text(at(response, 'incomplete_details', 'reason')) ?? status
  return {
    id: idText(response['id']),
    model: text(response['model']),
    finishReasons: final && reason !== undefined ? [reason] : undefined,
    ...usageLesson(withSearches(openaiUsage(response['usage']), response), response['usage'], event),
    previewSearch: array(response['tools'])?.some((tool) => text(at(tool, 'type'))?.startsWith('web_search_preview')) || undefined,
    paidTools: callsPaidTools(response) || undefined,
    finished: final || undefined,
    error: errorOf(response),
    serviceTier: text(response['service_tier']),
    background: response['background'] === true || undefined,
    provider: signatureOf(response),
  }
}

/**
 * Searches are billed by the call, pages that are opened are not; xAI counts them itself.
 * Sources: https://platform.openai.com/docs/pricing, https://docs.x.ai/docs/guides/tools/overview
 */
function withSearches(usage: Usage | undefined, response: JsonObject): Usage | undefined {
  const counted = count(at(response, 'usage', 'server_side_tool_usage_details', 'web_search_calls'))
  const searches = counted ?? array(response['output'])?.filter(isSearch).length ?? 0
  return usage === undefined || searches === 0 ? usage : { ...usage, webSearches: searches }
}

/** Billed by the call, the session or tokens of another model. Source: https://platform.openai.com/docs/pricing */
const paidCalls: ReadonlySet<string> = new Set(['file_search_call', 'code_interpreter_call', 'image_generation_call', 'shell_call'])

function callsPaidTools(response: JsonObject): boolean {
  const counted = object(at(response, 'usage', 'server_side_tool_usage_details')) ?? {}
  if (Object.entries(counted).some(([name, calls]) => !/^(web_search|mcp)_calls$/.test(name) && (count(calls) ?? 0) > 0)) return true
  return (array(response['output']) ?? []).some((item) => paidCalls.has(text(at(item, 'type')) ?? ''))
}

function isSearch(item: Json): boolean {
  return (
    at(item, 'type') === 'web_search_call' && at(item, 'status') !== 'failed' && (text(at(item, 'action', 'type')) ?? 'search') === 'search'
  )
}
