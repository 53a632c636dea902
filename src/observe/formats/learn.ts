/** Building facts: what every format shares, so that "nothing learnt" is the same object and "not reported" is no key at all. */
import type { ResponseFacts, Usage } from '../../lib/exchange.ts'
import { at, count, type Json, type JsonObject, object, text } from '../../lib/json.ts'
import { reportedCost } from './reported-cost.ts'
import { toldError } from './vendor-errors.ts'
import { findUsage } from './vocabulary.ts'

/** Identity of a response: the first value seen stands, so that skipping later messages loses nothing. */
const keepFirst: ReadonlySet<string> = new Set(['id', 'model', 'provider', 'systemFingerprint', 'error'])

/** Adds what `lesson` says (undefined says nothing). Returns `facts` itself when it says nothing new. */
export function learn(facts: ResponseFacts, lesson: ResponseFacts): ResponseFacts {
  let learnt: Record<string, unknown> | undefined
  for (const key in lesson) {
    const said = shortened(lesson[key as keyof ResponseFacts])
    if (said === undefined) continue
    const value = key === 'usage' ? overNumbers(facts.usage, said as Usage) : said
    const known = facts[key as keyof ResponseFacts]
    if (known === value || (known !== undefined && (keepFirst.has(key) || same(known, value)))) continue
    learnt ??= { ...facts }
    learnt[key] = value
  }
  return learnt ?? facts
}

/**
 * The newer usage, but no 0 over a number: counts grow, and some servers repeat those of an earlier event as 0. Nor is input or output
 * forgotten that the newer one leaves out or says as null.
 */
function overNumbers(known: Usage | undefined, now: Usage): Usage {
  if (known === undefined) return now
  let kept: { -readonly [K in keyof Usage]: Usage[K] } | undefined
  for (const name in known) {
    const count = name as keyof Usage
    const [before, after] = [known[count], now[count]]
    const isForgotten = after === undefined && (count === 'inputTokens' || count === 'outputTokens')
    if (before === undefined || before === 0 || (after !== 0 && !isForgotten)) continue
    kept ??= { ...now }
    kept[count] = before
  }
  return kept ?? now
}

/** Whether only messages with one of the format's wanted keys can still teach something. */
export function canSkim({ id, model, startOutputTokens }: ResponseFacts): boolean {
  return id !== undefined && model !== undefined && startOutputTokens === undefined
}

/** Longer than any id seen; what an answer names is kept in every view of its record. */
const textLengthMax = 2048
const reasonLengthMax = 100

/** Texts and lists of texts, cut to a length that a record can hold. */
function shortened(value: ResponseFacts[keyof ResponseFacts]): typeof value {
  if (typeof value === 'string') return value.length > textLengthMax ? value.slice(0, textLengthMax) : value
  if (!Array.isArray(value) || value.every((text) => text.length <= reasonLengthMax)) return value
  return value.map((text) => text.slice(0, reasonLengthMax))
}

/** Equality of the flat lists and objects that facts are made of. */
function same(one: unknown, other: unknown): boolean {
  if (Array.isArray(one) && Array.isArray(other)) return one.length === other.length && one.every((item, index) => item === other[index])
  if (typeof one !== 'object' || typeof other !== 'object') return false
  const [known, now] = [one as Usage, other as Usage]
  return (
    known.inputTokens === now.inputTokens &&
    known.outputTokens === now.outputTokens &&
    known.cacheReadTokens === now.cacheReadTokens &&
    known.cacheWriteTokens === now.cacheWriteTokens &&
    known.reasoningTokens === now.reasoningTokens &&
    known.totalTokens === now.totalTokens &&
    usageParts.every((part) => known[part] === now[part])
  )
}

/** The counts of `Usage` that only the cost is made of. */
const usageParts = [
  'cacheWrite1hTokens',
  'inputAudioTokens',
  'cacheReadAudioTokens',
  'outputAudioTokens',
  'inputImageTokens',
  'cacheReadImageTokens',
  'outputImageTokens',
  'webSearches',
] as const satisfies readonly (keyof Usage)[]

/** The object without its undefined keys. */
export function present<T extends object>(fields: T): T {
  const kept: Partial<T> = {}
  for (const key in fields) if (fields[key] !== undefined) kept[key] = fields[key]
  return kept as T
}

/** Usage from counts of which some may be undefined; undefined when not one of them is known. A total alone says nothing of what was used. */
export function usageOf(counts: Usage): Usage | undefined {
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens, totalTokens } = counts
  const usage: { -readonly [K in keyof Usage]: Usage[K] } = {}
  if (isExact(inputTokens)) usage.inputTokens = inputTokens
  if (isExact(outputTokens)) usage.outputTokens = outputTokens
  if (cacheReadTokens !== undefined) usage.cacheReadTokens = cacheReadTokens
  if (cacheWriteTokens !== undefined) usage.cacheWriteTokens = cacheWriteTokens
  if (reasoningTokens !== undefined) usage.reasoningTokens = reasoningTokens
  let isKnown = false
  for (const _ in usage) isKnown = true
  if (!isKnown) return undefined
  if (totalTokens !== undefined) usage.totalTokens = totalTokens
  for (const part of usageParts) if (counts[part] !== undefined) usage[part] = counts[part]
  return usage
}

/** Counts are read as safe integers, but a sum of two may be none any more: then nobody knows it to the token. */
function isExact(count: number | undefined): count is number {
  return count !== undefined && Number.isSafeInteger(count)
}

/** Both added up, count by count; what only one of them has stands. */
export function addedUsage(one: Usage | undefined, other: Usage): Usage | undefined {
  if (one === undefined) return other
  const sum: { -readonly [K in keyof Usage]: Usage[K] } = { ...one }
  for (const [count, value] of Object.entries(other) as [keyof Usage, number | undefined][]) sum[count] = sumOfKnown(one[count], value)
  return usageOf(sum)
}

/** The sum of the known numbers; undefined when none is known. Absent is not zero. */
export function sumOfKnown(...counts: readonly (number | undefined)[]): number | undefined {
  let sum: number | undefined
  for (const one of counts) if (one !== undefined) sum = (sum ?? 0) + one
  return sum
}

/** Keys that stand in usage objects which bill by something other than tokens (seconds, searches, money). */
const nonTokenKeys: ReadonlySet<string> = new Set([
  'type',
  'seconds',
  'duration',
  'cost',
  'cost_details',
  'cost_in_usd_ticks',
  'estimated_cost',
  'market_cost',
  'pydantic_ai_gateway',
  'is_byok',
  'search_units',
  'images',
  'image_count',
  'video_count',
  'video_duration',
  'width',
  'height',
  'size',
  'resolution',
  'request_count',
  'prompt_audio_seconds',
  'characters',
  'input_characters',
  'pages_processed',
  'doc_size_bytes',
  'num_sources_used',
  'service_tier',
  'trafficType',
  'serviceTier',
])

/** Whether a usage object holds something that should have been a count and could not be read as one. */
export function notUnderstood(usage: Json | undefined): true | undefined {
  if (usage === undefined || usage === null) return undefined
  const fields = object(usage)
  if (fields === undefined) return true
  return saysSomething(fields, detailsDepthMax) || undefined
}

/** Usage objects hold lists of details of details at most. */
const detailsDepthMax = 4

/** Details of which every one is null say as little as null itself. */
function saysSomething(value: Json | undefined, depth: number): boolean {
  if (value === null || value === undefined) return false
  if (typeof value !== 'object' || depth === 0) return true
  return Object.entries(value).some(([key, inner]) => !nonTokenKeys.has(key) && saysSomething(inner, depth - 1))
}

/**
 * Usage and the cost that stands in it or `beside` it. An object of which the format could read no count is read by its words (`vocabulary.ts`); when that
 * gives none either, the fact that it was not understood.
 */
export function usageLesson(usage: Usage | undefined, raw: Json | undefined, beside?: JsonObject): ResponseFacts {
  const reportedCostUsd = reportedCost(raw, beside)
  if (usage !== undefined) return { usage, reportedCostUsd }
  const isUnread = notUnderstood(raw)
  const found = isUnread ? findUsage({ usage: raw })?.usage : undefined
  return found === undefined ? { usageNotUnderstood: isUnread, reportedCostUsd } : { usage: found, reportedCostUsd }
}

/** An id: text, or a number as AI21 sends it. */
export function idText(value: Json | undefined): string | undefined {
  const digits = count(value)
  return digits === undefined ? text(value) : String(digits)
}

const errorTypeLengthMax = 100

/**
 * The error of a body: `{error: {type|code|status, message}}`, `{error: "text"}`, or flat beside `object: "error"` (vLLM, Mistral);
 * or told by a status code of the vendor's own (`vendor-errors.ts`); undefined when there is none. The type is the most telling short name that the provider gives.
 */
export function errorOf(message: JsonObject): ResponseFacts['error'] {
  const error = message['object'] === 'error' ? message : message['error']
  if (error === undefined || error === null || error === false || error === '') {
    const told = toldError(message)
    return told === undefined ? undefined : namedError(told.type, told.message)
  }
  const fields = object(error)
  if (fields === undefined) return namedError(text(message['error_type']) ?? 'error', text(error))
  const name = text(fields['type']) ?? idText(fields['code']) ?? text(fields['status']) ?? idText(fields['grpcCode'])
  return namedError(name ?? 'error', text(fields['message']) ?? text(at(fields, 'metadata', 'raw')))
}

export function namedError(type: string, message: string | undefined): ResponseFacts['error'] {
  return present({ type: type.slice(0, errorTypeLengthMax), message: message?.slice(0, textLengthMax) })
}

/** More choices than this in one answer are not told apart. */
const choicesMax = 128

/**
 * Finish reasons with one more known, in choice order. A choice that has not finished yet stands as an empty text, so that the place of
 * a later one is right; the conclusion turns what is left empty into an error or drops it.
 */
export function withFinish(reasons: readonly string[] | undefined, index: number, reason: string): readonly string[] {
  if (index >= choicesMax) return reasons ?? [reason]
  if (reasons?.[index] === reason) return reasons
  const next = [...(reasons ?? [])]
  while (next.length < index) next.push('')
  next[index] = reason
  return next
}
