/**
 * Usage as OpenAI and everybody compatible reports it. Input includes cached tokens and output includes reasoning, as the conventions
 * want it, so counts are taken as they stand, but for the three adjustments below.
 * Sources: https://platform.openai.com/docs/api-reference/chat/object, https://api-docs.deepseek.com/api/create-chat-completion
 * (`prompt_cache_hit_tokens`), https://docs.together.ai (`cached_tokens`), https://docs.mistral.ai/api (`num_cached_tokens`).
 */
import type { Usage } from '../../lib/exchange.ts'
import { array, at, count, type Json, type JsonObject, object } from '../../lib/json.ts'
import { addedUsage, usageOf } from './learn.ts'

interface OpenaiUsageOptions {
  /** Embedding and rerank APIs that report `total_tokens` alone (Voyage): the total is the input. */
  readonly totalIsInput?: boolean
  /** Of a text that a model has written: what the total holds beyond the parts is thinking (`withThoughts`). */
  readonly thinks?: boolean
}

export function openaiUsage(value: Json | undefined, options: OpenaiUsageOptions = {}): Usage | undefined {
  const usage = object(value)
  if (usage === undefined) return undefined
  const inputDetails = details(usage, 'prompt_tokens_details', 'input_tokens_details', 'prompt_token_details', 'input_token_details')
  const outputDetails = details(
    usage,
    'completion_tokens_details',
    'output_tokens_details',
    'completion_token_details',
    'output_token_details',
  )
  const input = count(usage['prompt_tokens']) ?? count(usage['input_tokens'])
  const output = count(usage['completion_tokens']) ?? count(usage['output_tokens'])
  const total = count(usage['total_tokens'])
  const reasoning = count(outputDetails['reasoning_tokens']) ?? count(usage['reasoning_tokens'])
  const onlyTotal = input === undefined && output === undefined
  if (onlyTotal && !options.totalIsInput) return undefined
  const cached = cachedBeside(usage, input, output, total)
  if (cached !== undefined) return usageOf({ ...cached, outputTokens: output, reasoningTokens: reasoning, totalTokens: total })
  const inclusive = withAudio(input, output, total, count(inputDetails['audio_tokens']))
  return usageOf({
    inputTokens: onlyTotal ? total : inclusive,
    outputTokens:
      options.thinks && isUnexplained(usage, reasoning)
        ? withThoughts(inclusive, output, total)
        : withReasoning(input, output, total, reasoning),
    cacheReadTokens:
      filled(inputDetails, ['cached_tokens']) ??
      filled(usage, [...cacheReads, 'cache_read_input_tokens']) ??
      count(inputDetails['cached_tokens']) ??
      first(usage, cacheReads),
    cacheWriteTokens: filled(inputDetails, cacheWrites) ?? filled(usage, cacheWrites) ?? count(inputDetails['cache_write_tokens']),
    cacheWrite1hTokens: count(at(inputDetails, 'cache_creation_token_details', 'ephemeral_1h_input_tokens')),
    reasoningTokens: reasoning,
    totalTokens: total,
    inputAudioTokens: count(inputDetails['audio_tokens']),
    cacheReadAudioTokens: count(at(inputDetails, 'cached_tokens_details', 'audio_tokens')),
    outputAudioTokens: count(outputDetails['audio_tokens']),
    inputImageTokens: count(inputDetails['image_tokens']),
    cacheReadImageTokens: count(at(inputDetails, 'cached_tokens_details', 'image_tokens')),
    outputImageTokens: count(outputDetails['image_tokens']),
  })
}

const none: JsonObject = {}

/** DeepSeek, Together, Mistral. */
const cacheReads = ['prompt_cache_hit_tokens', 'cached_tokens', 'num_cached_tokens']
/**
 * LiteLLM and gateways like it keep Anthropic's names beside OpenAI's, as parts of the prompt. They fill them with 0 for everybody who never
 * said it. Source: https://docs.litellm.ai/docs/completion/prompt_caching
 */
const cacheWrites = ['cache_write_tokens', 'cache_creation_tokens', 'cache_creation_input_tokens']

function first(counts: JsonObject, names: readonly string[]): number | undefined {
  return names.map((name) => count(counts[name])).find((one) => one !== undefined)
}

/** The first of these counts that is more than 0. */
function filled(counts: JsonObject, names: readonly string[]): number | undefined {
  return names.map((name) => count(counts[name])).find((one) => one !== undefined && one > 0)
}

function details(usage: JsonObject, ...keys: readonly string[]): JsonObject {
  for (const key of keys) {
    const found = object(usage[key])
    if (found !== undefined) return found
  }
  return none
}

/**
 * xAI's chat API counts reasoning beside `completion_tokens`, which shows in the total: prompt + completion + reasoning.
 * Source: https://docs.x.ai/docs/guides/reasoning
 */
function withReasoning(input?: number, output?: number, total?: number, reasoning?: number): number | undefined {
  const beside = reasoning !== undefined && reasoning > 0 && output !== undefined && total === (input ?? 0) + output + reasoning
  return beside ? output + reasoning : output
}

/** Counts beside prompt and completion that may be what a total has more than these: what Mistral's and Perplexity's tools read, audio. */
const besides = ['connector_tokens', 'citation_tokens', 'prompt_audio_seconds', 'tool_use_prompt_tokens']

function isUnexplained(usage: JsonObject, reasoning: number | undefined): boolean {
  return (reasoning ?? 0) === 0 && besides.every((name) => !count(usage[name]))
}

/**
 * Gemini behind OpenAI's API, and gateways in front of it, leave thinking out of `completion_tokens` and name it nowhere, but count it in the
 * total: output = total - prompt. Source: https://github.com/mozilla-ai/any-llm/issues/1290
 */
function withThoughts(input?: number, output?: number, total?: number): number | undefined {
  if (input === undefined || output === undefined || total === undefined) return output
  return Math.max(output, total - input)
}

/**
 * Mistral counts audio beside `prompt_tokens`, which shows in the total: prompt + audio + completion.
 * Source: https://docs.mistral.ai/capabilities/audio
 */
function withAudio(input?: number, output?: number, total?: number, audio?: number): number | undefined {
  const beside = audio !== undefined && audio > 0 && input !== undefined && total === input + audio + (output ?? 0)
  return beside ? input + audio : input
}

/**
 * Portkey writes Anthropic's usage as OpenAI's and leaves cached tokens beside `prompt_tokens`, which shows in the total: prompt + cache read
 * + cache creation + completion. Seen of `@portkey-ai/gateway` 1.15.2; LiteLLM sends the same two keys, but includes them.
 */
function cachedBeside(usage: JsonObject, input?: number, output?: number, total?: number): Usage | undefined {
  const read = count(usage['cache_read_input_tokens'])
  const written = count(usage['cache_creation_input_tokens'])
  const beside = (read ?? 0) + (written ?? 0)
  if (beside === 0 || input === undefined) return undefined
  const isBeside = total === undefined ? beside > input : total === input + beside + (output ?? 0)
  if (!isBeside) return undefined
  return { inputTokens: input + beside, cacheReadTokens: read, cacheWriteTokens: written }
}

/** The usage object of a chat or completions message: its own, else Groq's `x_groq.usage`; undefined where it has neither. */
function ownUsage(message: JsonObject): JsonObject | undefined {
  return object(message['usage']) ?? object(at(message, 'x_groq', 'usage'))
}

/** What a chat or completions message says of its usage, and the object that says it. */
export interface SaidUsage {
  readonly usage: Usage | undefined
  readonly raw: Json | undefined
}

/** Its own, else the sum of what stands in its choices (Moonshot). */
export function saidUsage(message: JsonObject): SaidUsage {
  const own = ownUsage(message)
  if (own !== undefined) return { usage: openaiUsage(own, { thinks: true }), raw: own }
  const ofChoices = (array(message['choices']) ?? []).flatMap((choice) => object(at(choice, 'usage')) ?? [])
  const usage = ofChoices.reduce<Usage | undefined>((sum, one) => added(sum, openaiUsage(one, { thinks: true })), undefined)
  return { usage, raw: ofChoices[0] ?? message['usage'] }
}

export function added(one: Usage | undefined, other: Usage | undefined): Usage | undefined {
  return other === undefined ? one : addedUsage(one, other)
}
