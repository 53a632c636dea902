/** Whether an answered inference request reported its usage, and if not, why. Pure. */

import type { Ending, RequestFacts, ResponseFacts, Usage, UsageOutcome, UsageReason } from '../lib/exchange.ts'
import type { Format } from '../observe/formats/format.ts'

interface Verdict {
  readonly outcome: UsageOutcome
  readonly reason?: UsageReason | undefined
}

interface VerdictInput {
  readonly ending: Ending
  /** Undefined when none recognised the answer. */
  readonly format: Pick<Format, 'name' | 'hasNoEnd'> | undefined
  readonly request: RequestFacts | undefined
  readonly response: ResponseFacts | undefined
  readonly notes: readonly string[]
  /** See `isUnfinished`. */
  readonly unfinished: boolean
}

/** The upstream accepted the request: 2xx, or a WebSocket. */
export function isAnswered(ending: Ending): boolean {
  return ending.status !== undefined && ((ending.status >= 200 && ending.status < 300) || ending.status === 101)
}

/** The answer ended before the upstream had ended it. */
export function isCut(ending: Ending): boolean {
  return cutReasons[ending.outcome.kind] !== undefined
}

const cutReasons: Readonly<Partial<Record<Ending['outcome']['kind'], UsageReason>>> = {
  'client-aborted': 'client_left',
  'upstream-aborted': 'upstream_cut',
  'sidecar-stopped': 'sidecar_stopped',
}

/** Undefined for requests that were not answered, and for those whose answers never carry usage (unless this one did). */
export function verdictOf(input: VerdictInput): Verdict | undefined {
  const { ending, request, response } = input
  if (!isAnswered(ending)) return undefined
  const usage = response?.usage
  if (usage === undefined && (request?.usageExpected === false || isMedia(ending))) return undefined
  if (input.format === undefined) return { outcome: 'undecodable', reason: 'unknown_format' }
  const cut = cutReason(input)
  if (ending.framing === 'websocket') return sessionVerdict(input, cut)
  if (usage !== undefined) {
    if (cut !== undefined) return { outcome: 'partial', reason: cut }
    return { outcome: isZero(usage) ? 'zero' : 'reported' }
  }
  const unread = unreadReason(input, cut !== undefined)
  if (unread !== undefined) return { outcome: 'undecodable', reason: unread }
  return { outcome: 'missing', reason: cut ?? (wasNotRequested(input) ? 'not_requested' : 'upstream_omitted') }
}

/** Sound and pictures have no room for usage. */
function isMedia({ framing, responseHeaders }: Ending): boolean {
  return framing === 'none' && /^(audio|image|video)\//i.test(responseHeaders['content-type'] ?? '')
}

/** The sum over a connection's responses: a message that could not be read may have been one of them. Nothing is due where none began. */
function sessionVerdict(input: VerdictInput, cut: UsageReason | undefined): Verdict | undefined {
  const { usage, responses } = input.response ?? {}
  const unread = unreadReason(input, cut !== undefined)
  if (usage !== undefined) {
    const reason = unread ?? cut
    return reason === undefined ? { outcome: isZero(usage) ? 'zero' : 'reported' } : { outcome: 'partial', reason }
  }
  if (unread !== undefined) return { outcome: 'undecodable', reason: unread }
  return responses === undefined ? undefined : { outcome: 'missing', reason: cut ?? 'upstream_omitted' }
}

/** Why the end is missing; undefined when the terminal event was seen, whoever closed the connection after it. */
function cutReason(input: VerdictInput): UsageReason | undefined {
  const { ending, response } = input
  if (response?.finished === true) return undefined
  // An error event in the middle of a stream ends it, however politely the connection is closed.
  const isEnded = (ending.streamed && response?.error !== undefined) || input.unfinished
  return cutReasons[ending.outcome.kind] ?? (isEnded ? 'upstream_cut' : undefined)
}

/** A stream that was closed politely before its terminal event: its format has such an event, and it had begun to say what it is. */
export function isUnfinished({ ending, format, request, response }: Omit<VerdictInput, 'notes' | 'unfinished'>): boolean {
  if (!ending.streamed || ending.framing === 'websocket' || ending.outcome.kind !== 'answered' || !isAnswered(ending)) return false
  if (response === undefined || response.finished === true || format === undefined || format.hasNoEnd === true) return false
  const reasons = response.finishReasons?.filter((reason) => reason !== 'error')
  const hasEnded = reasons !== undefined && reasons.length > 0 && !reasons.includes('')
  return !hasEnded && writes.has(request?.operation ?? '') && (response.finished === false || (response.id ?? response.model) !== undefined)
}

/** The provider said 0, for all that it counted. */
function isZero(usage: Usage): boolean {
  const counted = [usage.inputTokens, usage.outputTokens, usage.totalTokens].filter((count) => count !== undefined)
  return counted.length > 0 && counted.every((count) => count === 0)
}

/** Operations whose answers are written, and end with a reason. */
export const writes: ReadonlySet<string> = new Set(['chat', 'text_completion', 'generate_content', 'invoke_agent'])

/**
 * Counts that cannot all be right: parts larger than their whole, or a total that is not the sum of input and output. They are recorded as
 * they were reported, with a note.
 */
export function contradictsItself(usage: Usage | undefined, operation: string | undefined): boolean {
  if (usage === undefined) return false
  const { inputTokens: input, outputTokens: output, totalTokens: total } = usage
  const cached = (usage.cacheReadTokens ?? 0) + (usage.cacheWriteTokens ?? 0)
  if (input !== undefined && cached > input) return true
  if (output !== undefined && (usage.reasoningTokens ?? 0) > output) return true
  if (input === undefined || output === undefined || total === undefined || total === 0) return false
  // Of audio and moderation Mistral's total holds tokens that it names nowhere.
  return total < input + output || (total > input + output && writes.has(operation ?? ''))
}

/** What stood between the answer and its usage. A message that was cut in the middle is no JSON, but that is the cut's doing. */
function unreadReason({ notes, response }: VerdictInput, isCutShort: boolean): UsageReason | undefined {
  if (notes.includes('unsupported_encoding')) return 'unsupported_encoding'
  if (notes.includes('limit_hit')) return 'limit_hit'
  if (response?.usageNotUnderstood === true) return 'parse_error'
  return !isCutShort && (notes.includes('parse_error') || notes.includes('observer_failed')) ? 'parse_error' : undefined
}

/**
 * OpenAI's chat and legacy completions report usage in a stream only when asked; `usage_injected` says that the sidecar asked. TGI's bodies
 * have it only with `details`, agents of Bedrock only in a trace.
 */
function wasNotRequested({ ending, format, request, notes }: VerdictInput): boolean {
  const isAsked = request?.usageRequested === true || notes.includes('usage_injected')
  const inStreams = format?.name === 'openai-chat' || format?.name === 'openai-completions' || format?.name === 'bedrock-agent'
  return !isAsked && (ending.streamed ? inStreams : format?.name === 'tgi')
}
