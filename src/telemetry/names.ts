/**
 * The metrics of the two generations of the GenAI conventions, side by side. Whatever differs between them is looked up here, and a metric is
 * built from one column only. What they share stands in `catalog.ts` alone. The one attribute that differs is in `attributes.ts`.
 */
import type { Usage } from '../lib/exchange.ts'
import type { CounterName, Generation, HistogramName } from './catalog.ts'

export interface GenerationNames {
  readonly duration: HistogramName
  readonly timeToFirstChunk: HistogramName
  readonly timePerOutputChunk: HistogramName
  /** One record per request and reported count. */
  readonly tokenHistograms: readonly TokenMetric<HistogramName>[]
  /** Added up. `1.41` has none: the histogram's `_sum` is the total. */
  readonly tokenCounters: readonly TokenMetric<CounterName>[]
}

interface TokenMetric<Name> {
  readonly count: keyof Usage
  readonly metric: Name
  readonly labels: { readonly 'gen_ai.token.type'?: 'input' | 'output' }
}

export const generations: Readonly<Record<Generation, GenerationNames>> = {
  '1.41': {
    duration: 'gen_ai.client.operation.duration',
    timeToFirstChunk: 'gen_ai.client.operation.time_to_first_chunk',
    timePerOutputChunk: 'gen_ai.client.operation.time_per_output_chunk',
    tokenHistograms: [
      { count: 'inputTokens', metric: 'gen_ai.client.token.usage', labels: { 'gen_ai.token.type': 'input' } },
      { count: 'outputTokens', metric: 'gen_ai.client.token.usage', labels: { 'gen_ai.token.type': 'output' } },
    ],
    tokenCounters: [],
  },
  genai: {
    duration: 'gen_ai.client.inference.duration',
    timeToFirstChunk: 'gen_ai.client.inference.time_to_first_chunk',
    timePerOutputChunk: 'gen_ai.client.inference.time_per_output_chunk',
    tokenHistograms: [
      { count: 'inputTokens', metric: 'gen_ai.client.inference.operation.input_tokens', labels: {} },
      { count: 'outputTokens', metric: 'gen_ai.client.inference.operation.output_tokens', labels: {} },
    ],
    tokenCounters: [
      { count: 'inputTokens', metric: 'gen_ai.client.inference.usage.input_tokens', labels: {} },
      { count: 'outputTokens', metric: 'gen_ai.client.inference.usage.output_tokens', labels: {} },
      { count: 'cacheReadTokens', metric: 'gen_ai.client.inference.usage.cache_read.input_tokens', labels: {} },
      { count: 'cacheWriteTokens', metric: 'gen_ai.client.inference.usage.cache_write.input_tokens', labels: {} },
      { count: 'reasoningTokens', metric: 'gen_ai.client.inference.usage.reasoning.output_tokens', labels: {} },
    ],
  },
}
