/** exchange → what its span says: name, attributes, status. Pure; the names are in `catalog.ts`. */
import type { EndedResponse, Exchange, RequestFacts, Usage } from '../lib/exchange.ts'
import { type AttributeName, type Generation, type LabelAttribute, labelAttribute } from './catalog.ts'

type AttributeValue = string | number | boolean | string[] | number[]
/** The operator's labels have names of their own. */
export type SpanAttributes = { [Name in AttributeName | LabelAttribute]?: AttributeValue }

export interface SpanContent {
  /** `{operation} {model}` of an inference request, else `{METHOD} {route}`: never a raw path. */
  readonly name: string
  readonly attributes: SpanAttributes
  /** One for each of the last responses of a WebSocket; absent where there is none. */
  readonly events?: readonly SpanEvent[]
  /** A caller that cancels is no error, so this follows `errorType` alone, not the end reason. */
  readonly isError: boolean
  /** Why an upstream could not be reached or broke off; status text of an error, never content of an answer. */
  readonly errorMessage?: string
}

export interface SpanEvent {
  readonly name: typeof responseEvent
  /** Milliseconds since the epoch, with fraction. */
  readonly time: number
  readonly attributes: SpanAttributes
}

/** The name of the event of one response that ended on a WebSocket. */
const responseEvent = 'tokenweir.response'

/**
 * Each attribute is put by its written name: an object that gets more than 18 by a variable becomes a dictionary, which takes ten times as long
 * to fill and to encode. A field that the exchange does not have is absent from the attributes, not zero and not empty.
 */
export function spanContent(exchange: Exchange, generation: Generation): SpanContent {
  const { opening, ending } = exchange
  const attributes: SpanAttributes = {
    ...labelAttributes(exchange.labels),
    'http.request.method': opening.method,
    'url.path': opening.path,
    'server.address': opening.serverAddress,
    'server.port': opening.serverPort,
    'tokenweir.exchange.id': opening.id,
    'tokenweir.end_reason': exchange.endReason,
  }
  if (ending.status !== undefined) attributes['http.response.status_code'] = ending.status
  if (exchange.errorType !== undefined) attributes['error.type'] = exchange.errorType
  if (exchange.caller !== undefined) attributes['tokenweir.caller'] = exchange.caller
  if (exchange.inference) addInference(attributes, exchange, generation)
  const isError = exchange.errorType !== undefined
  const { outcome } = ending
  const message = isError && 'message' in outcome ? outcome.message : undefined
  const events = eventsOf(exchange, generation)
  return {
    name: nameOf(exchange),
    attributes,
    ...(events.length === 0 ? {} : { events }),
    isError,
    ...(message === undefined ? {} : { errorMessage: message }),
  }
}

function labelAttributes(labels: Exchange['labels']): SpanAttributes | undefined {
  if (labels === undefined) return undefined
  const attributes: SpanAttributes = {}
  for (const [name, value] of Object.entries(labels)) attributes[labelAttribute(name)] = value
  return attributes
}

function eventsOf({ opening, ending, response }: Exchange, generation: Generation): readonly SpanEvent[] {
  const last = response?.responses?.last ?? []
  return last.map((one, index) => ({
    name: responseEvent,
    time: opening.startedAt + (ending.session?.responseEndMs[index] ?? ending.endMs),
    attributes: responseAttributes(opening.usageByCaller === true ? { ...one, usage: undefined } : one, generation),
  }))
}

function responseAttributes({ id, finishReason, usage }: EndedResponse, generation: Generation): SpanAttributes {
  const attributes: SpanAttributes = {}
  if (id !== undefined) attributes['gen_ai.response.id'] = id
  if (finishReason !== undefined) attributes['gen_ai.response.finish_reasons'] = [finishReason]
  if (usage !== undefined) addUsage(attributes, usage, generation)
  return attributes
}

function nameOf({ opening, inference, operation, request }: Exchange): string {
  if (!inference) return `${opening.method} ${opening.route}`
  return request?.model === undefined ? `${operation}` : `${operation} ${request.model}`
}

function addInference(attributes: SpanAttributes, exchange: Exchange, generation: Generation): void {
  const { opening, ending, request, response } = exchange
  if (exchange.operation !== undefined) attributes['gen_ai.operation.name'] = exchange.operation
  if (exchange.provider !== undefined) attributes['gen_ai.provider.name'] = exchange.provider
  if (request !== undefined) addRequest(attributes, request)
  if (response?.id !== undefined) attributes['gen_ai.response.id'] = response.id
  if (response?.model !== undefined) attributes['gen_ai.response.model'] = response.model
  if (response?.finishReasons !== undefined) attributes['gen_ai.response.finish_reasons'] = asSpelt(response.finishReasons)
  if (ending.streamed && ending.framing !== 'websocket' && ending.firstChunkMs !== undefined) {
    attributes['gen_ai.response.time_to_first_chunk'] = ending.firstChunkMs / 1000
  }
  if (response?.usage !== undefined && opening.usageByCaller !== true) addUsage(attributes, response.usage, generation)
  if (exchange.format?.startsWith('openai')) addOpenAi(attributes, exchange)
  if (response?.responses?.ended !== undefined) attributes['tokenweir.responses'] = response.responses.ended
  // Backends add costs up as they add tokens up: where the caller's own span has the usage, it has the cost too.
  const { cost } = exchange
  if (cost !== undefined && cost.status !== 'unpriced' && opening.usageByCaller !== true) {
    attributes['gen_ai.usage.cost'] = cost.usd
    if (cost.cacheSavedUsd !== undefined) attributes['tokenweir.cache.saved'] = cost.cacheSavedUsd
  }
  if (exchange.timePerOutputTokenMs !== undefined) attributes['tokenweir.time_per_output_token'] = exchange.timePerOutputTokenMs / 1000
  if (exchange.estimatedInputTokens !== undefined) attributes['tokenweir.estimated.input_tokens'] = exchange.estimatedInputTokens
  if (exchange.estimatedOutputTokens !== undefined) attributes['tokenweir.estimated.output_tokens'] = exchange.estimatedOutputTokens
  if (exchange.usageOutcome !== undefined) attributes['tokenweir.usage.outcome'] = exchange.usageOutcome
  if (exchange.usageReason !== undefined) attributes['tokenweir.usage.reason'] = exchange.usageReason
}

/** Gemini asked for `enum-encoding=int` spells its reasons as numbers; the conventions want the provider's spelling. */
function asSpelt(reasons: readonly string[]): AttributeValue {
  return reasons.every((reason) => /^\d{1,9}$/.test(reason)) ? reasons.map(Number) : [...reasons]
}

function addRequest(attributes: SpanAttributes, request: RequestFacts): void {
  if (request.model !== undefined) attributes['gen_ai.request.model'] = request.model
  if (request.stream) attributes['gen_ai.request.stream'] = true
  if (request.maxTokens !== undefined) attributes['gen_ai.request.max_tokens'] = request.maxTokens
  if (request.temperature !== undefined) attributes['gen_ai.request.temperature'] = request.temperature
  if (request.topP !== undefined) attributes['gen_ai.request.top_p'] = request.topP
  if (request.topK !== undefined) attributes['gen_ai.request.top_k'] = request.topK
  if (request.frequencyPenalty !== undefined) attributes['gen_ai.request.frequency_penalty'] = request.frequencyPenalty
  if (request.presencePenalty !== undefined) attributes['gen_ai.request.presence_penalty'] = request.presencePenalty
  if (request.seed !== undefined) attributes['gen_ai.request.seed'] = request.seed
  if (request.choiceCount !== undefined && request.choiceCount !== 1) attributes['gen_ai.request.choice.count'] = request.choiceCount
  if (request.outputType !== undefined) attributes['gen_ai.output.type'] = request.outputType
  if (request.conversationId !== undefined) attributes['gen_ai.conversation.id'] = request.conversationId
}

function addUsage(attributes: SpanAttributes, usage: Usage, generation: Generation): void {
  if (usage.inputTokens !== undefined) attributes['gen_ai.usage.input_tokens'] = usage.inputTokens
  if (usage.outputTokens !== undefined) attributes['gen_ai.usage.output_tokens'] = usage.outputTokens
  if (usage.cacheReadTokens !== undefined) attributes['gen_ai.usage.cache_read.input_tokens'] = usage.cacheReadTokens
  if (usage.cacheWriteTokens !== undefined) {
    if (generation === 'genai') attributes['gen_ai.usage.cache_write.input_tokens'] = usage.cacheWriteTokens
    else attributes['gen_ai.usage.cache_creation.input_tokens'] = usage.cacheWriteTokens
  }
  if (usage.reasoningTokens !== undefined) attributes['gen_ai.usage.reasoning.output_tokens'] = usage.reasoningTokens
}

function addOpenAi(attributes: SpanAttributes, { request, response }: Exchange): void {
  if (request?.openaiApiType !== undefined) attributes['openai.api.type'] = request.openaiApiType
  if (request?.serviceTier !== undefined) attributes['openai.request.service_tier'] = request.serviceTier
  if (response?.serviceTier !== undefined) attributes['openai.response.service_tier'] = response.serviceTier
  if (response?.systemFingerprint !== undefined) attributes['openai.response.system_fingerprint'] = response.systemFingerprint
}
