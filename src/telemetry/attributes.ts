/** exchange → what its span says: name, attributes, status. Pure; the names are in `catalog.ts`. */
import type { EndedResponse, Exchange, RequestFacts, Usage } from '../lib/exchange.ts'
import { type AttributeName, type Generation, type LabelAttribute, labelAttribute } from './catalog.ts'
import { generations } from './names.ts'

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

/** A field that the exchange does not have is absent from the attributes, not zero and not empty. */
export function spanContent(exchange: Exchange, generation: Generation): SpanContent {
  const { opening, ending } = exchange
  const attributes: SpanAttributes = {
    'http.request.method': opening.method,
    'url.path': opening.path,
    'server.address': opening.serverAddress,
    'server.port': opening.serverPort,
    'tokenweir.exchange.id': opening.id,
    'tokenweir.end_reason': exchange.endReason,
  }
  put(attributes, 'http.response.status_code', ending.status)
  put(attributes, 'error.type', exchange.errorType)
  put(attributes, 'tokenweir.caller', exchange.caller)
  for (const [name, value] of Object.entries(exchange.labels ?? {})) attributes[labelAttribute(name)] = value
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
  put(attributes, 'gen_ai.response.id', id)
  put(attributes, 'gen_ai.response.finish_reasons', finishReason === undefined ? undefined : [finishReason])
  if (usage !== undefined) addUsage(attributes, usage, generation)
  return attributes
}

function nameOf({ opening, inference, operation, request }: Exchange): string {
  if (!inference) return `${opening.method} ${opening.route}`
  return request?.model === undefined ? `${operation}` : `${operation} ${request.model}`
}

function put(attributes: SpanAttributes, name: AttributeName, value: AttributeValue | undefined): void {
  if (value !== undefined) attributes[name] = value
}

function addInference(attributes: SpanAttributes, exchange: Exchange, generation: Generation): void {
  const { opening, ending, request, response } = exchange
  put(attributes, 'gen_ai.operation.name', exchange.operation)
  put(attributes, 'gen_ai.provider.name', exchange.provider)
  if (request !== undefined) addRequest(attributes, request)
  put(attributes, 'gen_ai.response.id', response?.id)
  put(attributes, 'gen_ai.response.model', response?.model)
  put(attributes, 'gen_ai.response.finish_reasons', response?.finishReasons && asSpelt(response.finishReasons))
  if (ending.streamed && ending.framing !== 'websocket' && ending.firstChunkMs !== undefined) {
    attributes['gen_ai.response.time_to_first_chunk'] = ending.firstChunkMs / 1000
  }
  if (response?.usage !== undefined && opening.usageByCaller !== true) addUsage(attributes, response.usage, generation)
  if (exchange.format?.startsWith('openai')) addOpenAi(attributes, exchange)
  put(attributes, 'tokenweir.responses', response?.responses?.ended)
  // Backends add costs up as they add tokens up: where the caller's own span has the usage, it has the cost too.
  const { cost } = exchange
  if (cost !== undefined && cost.status !== 'unpriced' && opening.usageByCaller !== true) {
    attributes['gen_ai.usage.cost'] = cost.usd
    put(attributes, 'tokenweir.cache.saved', cost.cacheSavedUsd)
  }
  if (exchange.timePerOutputTokenMs !== undefined) attributes['tokenweir.time_per_output_token'] = exchange.timePerOutputTokenMs / 1000
  put(attributes, 'tokenweir.estimated.input_tokens', exchange.estimatedInputTokens)
  put(attributes, 'tokenweir.estimated.output_tokens', exchange.estimatedOutputTokens)
  put(attributes, 'tokenweir.usage.outcome', exchange.usageOutcome)
  put(attributes, 'tokenweir.usage.reason', exchange.usageReason)
}

/** Gemini asked for `enum-encoding=int` spells its reasons as numbers; the conventions want the provider's spelling. */
function asSpelt(reasons: readonly string[]): AttributeValue {
  return reasons.every((reason) => /^\d{1,9}$/.test(reason)) ? reasons.map(Number) : [...reasons]
}

function addRequest(attributes: SpanAttributes, request: RequestFacts): void {
  put(attributes, 'gen_ai.request.model', request.model)
  if (request.stream) attributes['gen_ai.request.stream'] = true
  put(attributes, 'gen_ai.request.max_tokens', request.maxTokens)
  put(attributes, 'gen_ai.request.temperature', request.temperature)
  put(attributes, 'gen_ai.request.top_p', request.topP)
  put(attributes, 'gen_ai.request.top_k', request.topK)
  put(attributes, 'gen_ai.request.frequency_penalty', request.frequencyPenalty)
  put(attributes, 'gen_ai.request.presence_penalty', request.presencePenalty)
  put(attributes, 'gen_ai.request.seed', request.seed)
  if (request.choiceCount !== 1) put(attributes, 'gen_ai.request.choice.count', request.choiceCount)
  put(attributes, 'gen_ai.output.type', request.outputType)
  put(attributes, 'gen_ai.conversation.id', request.conversationId)
}

function addUsage(attributes: SpanAttributes, usage: Usage, generation: Generation): void {
  put(attributes, 'gen_ai.usage.input_tokens', usage.inputTokens)
  put(attributes, 'gen_ai.usage.output_tokens', usage.outputTokens)
  put(attributes, 'gen_ai.usage.cache_read.input_tokens', usage.cacheReadTokens)
  put(attributes, generations[generation].cacheWriteTokens, usage.cacheWriteTokens)
  put(attributes, 'gen_ai.usage.reasoning.output_tokens', usage.reasoningTokens)
}

function addOpenAi(attributes: SpanAttributes, { request, response }: Exchange): void {
  put(attributes, 'openai.api.type', request?.openaiApiType)
  put(attributes, 'openai.request.service_tier', request?.serviceTier)
  put(attributes, 'openai.response.service_tier', response?.serviceTier)
  put(attributes, 'openai.response.system_fingerprint', response?.systemFingerprint)
}
