/**
 * Anthropic Messages, also behind Vertex AI (`:rawPredict`), and as DeepSeek, Z.ai, Moonshot, OpenRouter and Ollama speak it.
 * Adjustment: input includes cached tokens; `message_start` is overlaid by each `message_delta`; see `anthropic-usage.ts`.
 * Source: https://docs.claude.com/en/api/messages-streaming
 */
import type { RequestFacts, ResponseFacts } from '../../lib/exchange.ts'
import { at, boolean, count, type Json, type JsonObject, number, object, text } from '../../lib/json.ts'
import { anthropicTier, anthropicUsage, overlaid, startUsage, usageOfIterations } from './anthropic-usage.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn, present, usageLesson } from './learn.ts'
import { endsWithAny, googleMethod } from './paths.ts'
import { noBody, outputTypeOf, requestFacts } from './request.ts'

const events: ReadonlySet<string> = new Set([
  'message_start',
  'message_delta',
  'message_stop',
  'content_block_start',
  'content_block_delta',
])

export const anthropicMessages: Format = {
  name: 'anthropic-messages',
  provider: 'anthropic',
  wantedKeys: ['usage', 'stop_reason', 'error'],
  claims: (method, path) => {
    if (method !== 'POST') return false
    // Not any `/messages`: OpenAI's threads have some too.
    if (endsWithAny(path, ['/v1/messages', '/anthropic/messages'])) return true
    const google = googleMethod(path)
    return google !== undefined && google.publisher === 'anthropic' && /^(raw|streamRaw)Predict$/.test(google.verb)
  },
  recognises: (message) => {
    const type = text(at(message, 'type')) ?? ''
    return events.has(type) || (type === 'message' && object(at(message, 'usage')) !== undefined)
  },
  readRequest: (json, path) => readMessagesRequest(json, googleMethod(path)?.model),
  readResponse: readMessage,
}

export function readMessagesRequest(json: Json | undefined, pathModel: string | undefined): RequestFacts {
  const body = object(json) ?? noBody
  return requestFacts({
    operation: 'chat',
    usageExpected: true,
    model: text(body['model']) ?? pathModel,
    stream: boolean(body['stream']),
    maxTokens: count(body['max_tokens']) ?? count(body['max_tokens_to_sample']),
    temperature: number(body['temperature']),
    topP: number(body['top_p']),
    topK: number(body['top_k']),
    outputType: outputTypeOf(body['output_format']) ?? outputTypeOf(at(body, 'output_config', 'format')),
  })
}

export function readMessage(facts: ResponseFacts, message: Json): ResponseFacts {
  const body = object(message)
  if (body === undefined) return facts
  switch (body['type']) {
    case 'message':
      return learn(facts, wholeLesson(body))
    case 'message_start': {
      const start = object(body['message']) ?? noBody
      return learn(facts, {
        ...identity(start),
        ...usageLesson(startUsage(start['usage']), start['usage']),
        startOutputTokens: count(at(start, 'usage', 'output_tokens')),
        serviceTier: anthropicTier(start['usage']),
        inferenceGeo: text(at(start, 'usage', 'inference_geo')),
      })
    }
    case 'content_block_start':
      return text(at(body, 'content_block', 'type')) === 'text' ? facts : afterStart(facts)
    case 'content_block_delta':
      return afterStart(facts)
    case 'message_delta': {
      const learnt = learn(facts, deltaLesson(facts, body))
      return learnt.usage?.outputTokens === undefined ? learnt : afterStart(learnt)
    }
    case 'message_stop':
      return learn(facts, { finished: true })
    default: {
      const error = errorOf(body)
      return error === undefined ? facts : afterStart(learn(facts, { error }))
    }
  }
}

/** From here on the first event's `output_tokens` is no count of the output. */
export function afterStart(facts: ResponseFacts): ResponseFacts {
  return facts.startOutputTokens === undefined ? facts : present({ ...facts, startOutputTokens: undefined })
}

function identity(message: JsonObject): ResponseFacts {
  return { id: idText(message['id']), model: text(message['model']) }
}

function wholeLesson(message: JsonObject): ResponseFacts {
  const reason = text(message['stop_reason'])
  const raw = message['usage']
  return {
    ...identity(message),
    finishReasons: reason === undefined ? undefined : [reason],
    ...usageLesson(anthropicUsage(raw), raw, message),
    usageOfIterations: usageOfIterations(raw),
    serviceTier: anthropicTier(raw),
    inferenceGeo: text(at(raw, 'inference_geo')),
    finished: true,
    error: errorOf(message),
  }
}

/** With the stop reason the answer is whole; `message_stop` only says so again. */
function deltaLesson(facts: ResponseFacts, delta: JsonObject): ResponseFacts {
  const reason = text(at(delta, 'delta', 'stop_reason'))
  const raw = delta['usage']
  return {
    finishReasons: reason === undefined ? undefined : [reason],
    ...usageLesson(overlaid(facts.usage, raw), raw, delta),
    usageOfIterations: usageOfIterations(raw),
    serviceTier: anthropicTier(raw),
    inferenceGeo: text(at(raw, 'inference_geo')),
    finished: reason === undefined ? undefined : true,
  }
}
