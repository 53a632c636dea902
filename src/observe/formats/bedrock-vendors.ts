/**
 * The vendors' own answers inside Bedrock InvokeModel, told apart by their shape: one row each. A model imported or behind a profile has no
 * vendor in its id. Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
 */
import type { ResponseFacts, Usage } from '../../lib/exchange.ts'
import { array, at, count, type Json, type JsonObject, object, string, text } from '../../lib/json.ts'
import { readTextCompletion } from './anthropic-complete.ts'
import { afterStart, readMessage } from './anthropic-messages.ts'
import { converseLesson } from './bedrock-converse.ts'
import { cohereUsage } from './cohere-usage.ts'
import { idText, learn, sumOfKnown, usageOf, withFinish } from './learn.ts'
import { readCompletion } from './openai-chat.ts'

interface Vendor {
  readonly name: string
  readonly is: (inner: JsonObject) => boolean
  readonly read: (facts: ResponseFacts, inner: JsonObject) => ResponseFacts
}

export function vendorOf(inner: JsonObject): Vendor | undefined {
  return vendors.find((vendor) => vendor.is(inner))
}

const vendors: readonly Vendor[] = [
  {
    name: 'anthropic messages',
    is: (inner) => /^(message|message_(start|delta|stop)|content_block_(start|delta|stop)|ping|error)$/.test(string(inner['type']) ?? ''),
    // The metrics say the output, also of an answer that ended before it had any.
    read: (facts, message) => afterStart(readMessage(facts, message)),
  },
  {
    name: 'anthropic text completions',
    is: (inner) => string(inner['completion']) !== undefined,
    read: readTextCompletion,
  },
  {
    name: 'amazon nova',
    is: (inner) =>
      object(at(inner, 'output', 'message')) !== undefined ||
      ['messageStart', 'messageStop', 'contentBlockDelta', 'metadata'].some((key) => key in inner),
    read: (facts, inner) => learn(facts, converseLesson(object(inner['messageStop']) ?? object(inner['metadata']) ?? inner)),
  },
  {
    // AI21 Jamba, OpenAI, Qwen, DeepSeek, Mistral's chat models: OpenAI's shape, but some write `stop_reason`.
    name: 'openai shape',
    is: (inner) => array(inner['choices']) !== undefined,
    read: (facts, inner) => withStopReasons(readCompletion(facts, inner), inner['choices'], (choice) => text(at(choice, 'stop_reason'))),
  },
  {
    name: 'ai21 jurassic',
    is: (inner) => array(inner['completions']) !== undefined,
    read: (facts, inner) =>
      withStopReasons(learn(facts, { id: idText(inner['id']) }), inner['completions'], (one) => text(at(one, 'finishReason', 'reason'))),
  },
  {
    name: 'meta llama',
    is: (inner) => string(inner['generation']) !== undefined,
    read: (facts, inner) =>
      learn(facts, {
        finishReasons: one(inner['stop_reason']),
        usage: usageOf({ inputTokens: count(inner['prompt_token_count']), outputTokens: count(inner['generation_token_count']) }),
      }),
  },
  {
    name: 'mistral text',
    is: (inner) => array(inner['outputs']) !== undefined,
    read: (facts, inner) => withStopReasons(facts, inner['outputs'], (output) => text(at(output, 'stop_reason'))),
  },
  {
    // Embeddings have the input count only.
    name: 'amazon titan',
    is: (inner) => 'inputTextTokenCount' in inner || 'outputText' in inner,
    read: readTitan,
  },
  {
    name: 'cohere',
    is: (inner) => ['generations', 'generation_id', 'is_finished', 'response_type', 'embeddings', 'results'].some((key) => key in inner),
    read: readCohere,
  },
]

function one(reason: Json | undefined): readonly string[] | undefined {
  const known = text(reason)
  return known === undefined ? undefined : [known]
}

function withStopReasons(facts: ResponseFacts, items: Json | undefined, reasonOf: (item: Json) => string | undefined): ResponseFacts {
  let reasons = facts.finishReasons
  array(items)?.forEach((item, index) => {
    const reason = reasonOf(item)
    if (reason !== undefined) reasons = withFinish(reasons, index, reason)
  })
  return learn(facts, { finishReasons: reasons })
}

/** Whole answers count each result; streams count all output in the last event. */
function readTitan(facts: ResponseFacts, inner: JsonObject): ResponseFacts {
  const results = array(inner['results']) ?? []
  const usage: Usage = {
    inputTokens: count(inner['inputTextTokenCount']),
    outputTokens: count(inner['totalOutputTextTokenCount']) ?? sumOfKnown(...results.map((result) => count(at(result, 'tokenCount')))),
  }
  const learnt = withStopReasons(facts, results, (result) => text(at(result, 'completionReason')))
  return learn(learnt, { usage: usageOf(usage), finishReasons: one(inner['completionReason']) })
}

/** Command, Command R, Embed and Rerank; the last event of a Command R stream has the whole answer inside. */
function readCohere(facts: ResponseFacts, inner: JsonObject): ResponseFacts {
  const response = object(inner['response']) ?? inner
  const learnt = withStopReasons(facts, inner['generations'], (generation) => text(at(generation, 'finish_reason')))
  return learn(learnt, {
    id: idText(response['id']) ?? idText(response['generation_id']),
    finishReasons: one(response['finish_reason']) ?? one(inner['finish_reason']),
    usage: cohereUsage(response['meta']),
    finished: inner['is_finished'] === true || undefined,
  })
}
