/**
 * OpenAI Chat Completions, and every provider that speaks it: Azure, Groq, DeepSeek, Mistral, xAI, OpenRouter, Perplexity, Snowflake,
 * Together, vLLM, Writer …
 * Usage: the last object that holds a count stands, wherever it comes (own chunk, finish chunk, every chunk cumulatively). No other
 * adjustment than those of `openai-usage.ts`. Source: https://platform.openai.com/docs/api-reference/chat
 */
import type { RequestFacts, ResponseFacts, Usage } from '../../lib/exchange.ts'
import { array, at, boolean, type Json, type JsonObject, number, object, string, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn, usageLesson, withFinish } from './learn.ts'
import { added, saidUsage } from './openai-usage.ts'
import { deploymentOf, endsWith, endsWithAny, googleMethod } from './paths.ts'
import { noBody, openaiSettings, outputTypeOf, outputTypeOfModalities, requestFacts } from './request.ts'
import { signatureOf } from './signature.ts'

const paths = [
  '/chat/completions',
  '/agents/completions',
  '/fim/completions',
  // Writer; Cohere v1 answers at the same path.
  '/v1/chat',
  // Snowflake Cortex, before it had /chat/completions.
  '/cortex/inference:complete',
  // MiniMax.
  '/text/chatcompletion_v2',
]

export const openaiChat: Format = {
  name: 'openai-chat',
  provider: 'openai',
  // `code`: an error without an object around it.
  wantedKeys: ['usage', 'finish_reason', 'error', 'code', 'x_groq'],
  claims: (method, path) => method === 'POST' && (endsWithAny(path, paths) || isRawPredict(path)),
  recognises: (message) => {
    const body = object(message)
    if (body === undefined) return false
    if (text(body['object'])?.startsWith('chat.completion')) return true
    const first = object(array(body['choices'])?.[0])
    return first !== undefined && (object(first['message']) !== undefined || object(first['delta']) !== undefined)
  },
  readRequest(json, path): RequestFacts {
    const body = object(json) ?? noBody
    return requestFacts({
      operation: endsWith(path, '/fim/completions') ? 'text_completion' : 'chat',
      usageExpected: true,
      ...openaiSettings(body),
      model: text(body['model']) ?? deploymentOf(path) ?? googleMethod(path)?.model,
      usageRequested: boolean(at(body, 'stream_options', 'include_usage')),
      outputType: outputTypeOf(body['response_format']) ?? outputTypeOfModalities(body['modalities']),
      openaiApiType: 'chat_completions',
    })
  },
  readResponse: readCompletion,
}

/** Vertex AI serves partners' models at `:rawPredict`; Mistral's and others' speak this format there. */
function isRawPredict(path: string): boolean {
  const method = googleMethod(path)
  return method !== undefined && /^(raw|streamRaw)Predict$/.test(method.verb) && method.publisher !== 'anthropic'
}

/** A chunk or whole body of the chat and of the legacy completions API: they differ only in what this does not read. */
export function readCompletion(facts: ResponseFacts, message: Json): ResponseFacts {
  const body = object(message)
  if (body === undefined) return facts
  const said = saidUsage(body)
  const finish = finishOf(facts, body)
  const usage = ofAllChoices(facts, finish, said.usage)
  return learn(facts, {
    id: idText(body['id']),
    model: text(body['model']),
    finishReasons: finish.reasons,
    ...usageLesson(usage, said.raw, body),
    finished: isLast(facts, body, finish, usage !== undefined) || goesOn(facts, finish, usage !== undefined),
    error: errorOf(body),
    serviceTier: text(body['service_tier']),
    systemFingerprint: text(body['system_fingerprint']),
    provider: facts.provider ?? signatureOf(body),
  })
}

interface Finish {
  readonly reasons: readonly string[] | undefined
  /** Every choice of this message has finished, and there is one. */
  readonly here: boolean
  /** A choice of this message has finished that had not before. */
  readonly isNew: boolean
  /** A choice of this message goes on. */
  readonly unfinished: boolean
  /** Choices of other messages had finished before. */
  readonly others: boolean
}

function finishOf(facts: ResponseFacts, body: JsonObject): Finish {
  let reasons = facts.finishReasons
  const choices = array(body['choices']) ?? []
  const before = facts.finishReasons ?? []
  const indexes = new Set<number>()
  let finished = 0
  choices.forEach((choice, position) => {
    const fields = object(choice)
    const reason = string(fields?.['finish_reason'])
    if (fields === undefined || reason === undefined) return
    // Snowflake ends whole answers with an empty text, which is what it said; in chunks an empty text means "not yet".
    if (reason === '' && object(fields['message']) === undefined) return
    finished++
    indexes.add(indexOf(fields, position))
    reasons = withFinish(reasons, indexOf(fields, position), reason)
  })
  return {
    reasons,
    here: choices.length > 0 && finished === choices.length,
    unfinished: finished < choices.length,
    isNew: [...indexes].some((index) => !before[index]),
    others: before.some((reason, index) => reason !== '' && !indexes.has(index)),
  }
}

/**
 * TGI tells the usage of each prompt beside the last chunk of its choice: what was told beside the last chunks of others is added. Where
 * usage comes with the chunks in between too (`finished` was taken back), it is cumulative.
 */
function ofAllChoices(facts: ResponseFacts, finish: Finish, usage: Usage | undefined): Usage | undefined {
  if (usage === undefined || !finish.here || !finish.others || facts.finished !== true) return usage
  return finish.isNew ? added(facts.usage, usage) : facts.usage
}

/** Usage beside a choice that goes on, after another one had finished with its own. */
function goesOn(facts: ResponseFacts, finish: Finish, hasUsage: boolean): false | undefined {
  return hasUsage && facts.finished === true && finish.unfinished ? false : undefined
}

function indexOf(choice: JsonObject, position: number): number {
  const index = number(choice['index'])
  return index !== undefined && Number.isInteger(index) && index >= 0 ? index : position
}

/** `[DONE]` ends every such stream, but is no JSON; these ends are seen in the messages themselves. */
function isLast(facts: ResponseFacts, body: JsonObject, finish: Finish, hasUsage: boolean): boolean {
  if (body['object'] === 'chat.completion' || body['object'] === 'chat.completion.done') return true
  const noChoices = array(body['choices'])?.length === 0
  return hasUsage && (finish.here || (noChoices && facts.finishReasons !== undefined))
}
