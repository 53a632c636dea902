/** Reading requests: the sampling settings that telemetry names, in OpenAI's spelling, which most providers share. */
import type { RequestFacts } from '../../lib/exchange.ts'
import { array, at, boolean, count, type Json, type JsonObject, number, object, string, text } from '../../lib/json.ts'
import { present } from './learn.ts'

export const noBody: JsonObject = {}

/** Request facts without the keys that are not known. */
export function requestFacts(facts: RequestFacts): RequestFacts {
  return present(facts)
}

type Picker = <T>(read: (value: Json | undefined) => T | undefined, ...names: readonly string[]) => T | undefined

/** Reads a setting under the first of its names that can be read: at the top of a body, then in each of the objects that `holders` names. */
export function pickerOf(body: JsonObject, holders: readonly string[]): Picker {
  const places = [body, ...holders.map((name) => object(body[name]) ?? noBody)]
  return (read, ...names) => {
    for (const place of places) {
      for (const name of names) {
        const value = read(place[name])
        if (value !== undefined) return value
      }
    }
    return undefined
  }
}

type Settings = Omit<RequestFacts, 'operation' | 'usageExpected'>

/** Source: https://platform.openai.com/docs/api-reference/chat/create, and the same names at every compatible provider. */
export function openaiSettings(body: JsonObject): Settings {
  const choices = count(body['n'])
  return {
    model: text(body['model']),
    stream: boolean(body['stream']),
    maxTokens: count(body['max_completion_tokens']) ?? count(body['max_output_tokens']) ?? count(body['max_tokens']),
    temperature: number(body['temperature']),
    topP: number(body['top_p']),
    topK: number(body['top_k']),
    frequencyPenalty: number(body['frequency_penalty']),
    presencePenalty: number(body['presence_penalty']),
    seed: number(body['seed']) ?? number(body['random_seed']),
    choiceCount: choices === 1 ? undefined : choices,
    serviceTier: text(body['service_tier']),
    searchContext: sizes.find((size) => size === at(body, 'web_search_options', 'search_context_size')),
  }
}

/** Source: https://docs.perplexity.ai/guides/search-context-size-guide */
const sizes = ['low', 'medium', 'high'] as const

/** `gen_ai.output.type` from a JSON mode, wherever the API puts it. */
export function outputTypeOf(format: Json | undefined): string | undefined {
  const type = text(at(format, 'type')) ?? string(format)
  if (type === 'json_object' || type === 'json_schema' || type === 'json') return 'json'
  if (type === 'text') return 'text'
  return object(format) !== undefined && type === undefined ? 'json' : undefined
}

/** `gen_ai.output.type` from a list of modalities that asks for more than text. */
export function outputTypeOfModalities(modalities: Json | undefined): string | undefined {
  const asked = (array(modalities) ?? []).map((one) => string(one)?.toLowerCase())
  if (asked.includes('audio')) return 'speech'
  return asked.includes('image') ? 'image' : undefined
}
