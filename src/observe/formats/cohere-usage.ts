/**
 * Cohere counts twice: `tokens` is what the model read and wrote, `billed_units` what is charged, without Cohere's own preamble. The first is
 * taken, the second only where it stands alone. Search units and images are no tokens. Adjustment: none; input includes cached tokens.
 * Sources: https://docs.cohere.com/v2/reference/chat, https://docs.cohere.com/docs/how-does-cohere-pricing-work
 */
import type { Usage } from '../../lib/exchange.ts'
import { at, count, type Json } from '../../lib/json.ts'
import { usageOf } from './learn.ts'

/** From v2's `usage` or v1's `meta`. */
export function cohereUsage(holder: Json | undefined): Usage | undefined {
  return usageOf({
    inputTokens: count(at(holder, 'tokens', 'input_tokens')) ?? count(at(holder, 'billed_units', 'input_tokens')),
    outputTokens: count(at(holder, 'tokens', 'output_tokens')) ?? count(at(holder, 'billed_units', 'output_tokens')),
    cacheReadTokens: count(at(holder, 'cached_tokens')),
    // Models that do not reason are said to have reasoned 0, which says nothing.
    reasoningTokens: count(at(holder, 'tokens', 'reasoning_tokens')) || undefined,
  })
}
