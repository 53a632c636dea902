/**
 * Anthropic's `input_tokens` leaves cached tokens out; the conventions include them: input + cache_read + cache_creation.
 * Source: https://docs.claude.com/en/api/messages, https://docs.claude.com/en/docs/build-with-claude/prompt-caching
 */
import type { Usage } from '../../lib/exchange.ts'
import { array, at, count, type Json, type JsonObject, object, text } from '../../lib/json.ts'
import { sumOfKnown, usageOf } from './learn.ts'

/** Counts as the wire has them: `input` without cached tokens. */
interface Counts {
  readonly input: number | undefined
  readonly output: number | undefined
  readonly cacheRead: number | undefined
  readonly cacheWrite: number | undefined
  readonly reasoning: number | undefined
  readonly cacheWrite1h: number | undefined
  readonly webSearches: number | undefined
}

function countsOf(usage: JsonObject): Counts {
  return {
    input: count(usage['input_tokens']),
    output: count(usage['output_tokens']),
    cacheRead: count(usage['cache_read_input_tokens']),
    cacheWrite: count(usage['cache_creation_input_tokens']),
    reasoning: count(at(usage, 'output_tokens_details', 'thinking_tokens')),
    cacheWrite1h: count(at(usage, 'cache_creation', 'ephemeral_1h_input_tokens')),
    webSearches: count(at(usage, 'server_tool_use', 'web_search_requests')),
  }
}

function inclusive(counts: Counts): Usage | undefined {
  return usageOf({
    inputTokens: counts.input === undefined ? undefined : sumOfKnown(counts.input, counts.cacheRead, counts.cacheWrite),
    outputTokens: counts.output,
    cacheReadTokens: counts.cacheRead,
    cacheWriteTokens: counts.cacheWrite,
    reasoningTokens: counts.reasoning,
    cacheWrite1hTokens: counts.cacheWrite1h,
    webSearches: counts.webSearches,
  })
}

/** Back from what is known: the wire's input is the inclusive one less what it includes, and never below 0 where its counts contradict each other. */
function exclusive(usage: Usage | undefined): Counts {
  const input = usage?.inputTokens
  return {
    input: input === undefined ? undefined : Math.max(0, input - (usage?.cacheReadTokens ?? 0) - (usage?.cacheWriteTokens ?? 0)),
    output: usage?.outputTokens,
    cacheRead: usage?.cacheReadTokens,
    cacheWrite: usage?.cacheWriteTokens,
    reasoning: usage?.reasoningTokens,
    cacheWrite1h: usage?.cacheWrite1hTokens,
    webSearches: usage?.webSearches,
  }
}

export function anthropicUsage(value: Json | undefined): Usage | undefined {
  const usage = object(value)
  return usage === undefined ? undefined : inclusive(countsOf(usage))
}

/**
 * Known usage overlaid field by field: what the new object does not say, or says as null or 0, stays. Counts are cumulative, never summed, so
 * that a 0 is no correction: servers that speak this API beside their own fill the input of `message_delta` with it.
 */
export function overlaid(known: Usage | undefined, value: Json | undefined): Usage | undefined {
  const usage = object(value)
  if (usage === undefined) return known
  const before = exclusive(known)
  const now = countsOf(usage)
  const later = (name: keyof Counts) => now[name] || (before[name] ?? now[name])
  const cached = (counts: Counts) => (counts.cacheRead ?? 0) + (counts.cacheWrite ?? 0)
  // Input that is named as cached from now on has gone from where it stood.
  const moved = now.input === 0 && cached(now) - cached(before) >= (before.input ?? 0)
  return inclusive({
    input: moved ? 0 : later('input'),
    output: later('output'),
    cacheRead: later('cacheRead'),
    cacheWrite: later('cacheWrite'),
    reasoning: later('reasoning'),
    cacheWrite1h: later('cacheWrite1h'),
    webSearches: later('webSearches'),
  })
}

/**
 * The usage of `message_start` without its `output_tokens`: the few tokens that it names are a placeholder in a stream that goes on to say
 * how many there were, or is cut before that (`startOutputTokens` for one that has no output at all).
 */
export function startUsage(value: Json | undefined): Usage | undefined {
  const usage = object(value)
  return usage === undefined ? undefined : inclusive({ ...countsOf(usage), output: undefined, reasoning: undefined })
}

/**
 * The sum over `usage.iterations` where it differs from the top level: compaction and server-side tools sample more than once, and the top
 * level leaves some of it out. With a fallback message the top level is right, and nothing is summed.
 * Source: https://docs.claude.com/en/docs/build-with-claude/compaction
 */
export function usageOfIterations(value: Json | undefined): Usage | undefined {
  const usage = object(value)
  const iterations = array(usage?.['iterations'])
  if (usage === undefined || iterations === undefined || iterations.length === 0) return undefined
  if (iterations.some((one) => text(at(one, 'type'))?.includes('fallback') === true)) return undefined
  const all = iterations.map((one) => countsOf(object(one) ?? {}))
  const summed = inclusive({
    input: sumOfKnown(...all.map((one) => one.input)),
    output: sumOfKnown(...all.map((one) => one.output)),
    cacheRead: sumOfKnown(...all.map((one) => one.cacheRead)),
    cacheWrite: sumOfKnown(...all.map((one) => one.cacheWrite)),
    reasoning: sumOfKnown(...all.map((one) => one.reasoning)),
    cacheWrite1h: sumOfKnown(...all.map((one) => one.cacheWrite1h)),
    webSearches: undefined,
  })
  const top = anthropicUsage(usage)
  const differs = summed?.inputTokens !== top?.inputTokens || summed?.outputTokens !== top?.outputTokens
  return differs ? summed : undefined
}

/** The tier that answered; the fast mode is one, with a price of its own. */
export function anthropicTier(value: Json | undefined): string | undefined {
  return at(value, 'speed') === 'fast' ? 'fast' : text(at(value, 'service_tier'))
}
