/**
 * Gemini generateContent and streamGenerateContent: Gemini API, Vertex AI, Firebase; server-sent events or one JSON array.
 * Adjustment: input = prompt + tool-use prompt; output = candidates + thoughts. The prompt count includes cached content.
 * Each usageMetadata replaces the one before (counts are cumulative, and can go down); one that holds no count is no usage.
 * Sources: https://ai.google.dev/api/generate-content#UsageMetadata,
 * https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse
 */
import type { RequestFacts, ResponseFacts, Usage } from '../../lib/exchange.ts'
import { array, at, count, type Json, type JsonObject, number, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, learn, sumOfKnown, usageLesson, usageOf, withFinish } from './learn.ts'
import { googleMethod } from './paths.ts'
import { noBody, outputTypeOfModalities, requestFacts } from './request.ts'

export const gemini: Format = {
  name: 'gemini',
  provider: 'gcp.gemini',
  wantedKeys: ['usageMetadata', 'finishReason', 'promptFeedback', 'error'],
  claims: (method, path) => method === 'POST' && isGenerate(googleMethod(path)?.verb),
  recognises: (message) => {
    const body = answerOf(message)
    if (body === undefined) return false
    if (count(at(body, 'usageMetadata', 'promptTokenCount')) !== undefined || object(body['promptFeedback']) !== undefined) return true
    const first = object(array(body['candidates'])?.[0])
    return first !== undefined && (first['content'] !== undefined || first['finishReason'] !== undefined)
  },
  arrayStream: (path) => googleMethod(path)?.verb === 'streamGenerateContent',
  readRequest: readGenerate,
  readResponse(facts, message) {
    const body = answerOf(message)
    if (body === undefined) return facts
    const raw = body['usageMetadata']
    const reasons = finishReasonsOf(facts, body)
    const finishedNow = reasons !== facts.finishReasons || text(at(body, 'promptFeedback', 'blockReason')) !== undefined
    return learn(facts, {
      id: text(body['responseId']),
      model: text(body['modelVersion']),
      finishReasons: reasons,
      ...usageLesson(geminiUsage(raw), raw),
      finished: finishedNow || undefined,
      serviceTier: tierOf(raw),
      error: errorOf(body),
    })
  },
}

/** Code Assist (Gemini CLI, `v1internal`) wraps each answer in `response`. */
function answerOf(message: Json): JsonObject | undefined {
  const body = object(message)
  const wrapped = object(body?.['response'])
  return wrapped !== undefined && ('candidates' in wrapped || 'usageMetadata' in wrapped || 'promptFeedback' in wrapped) ? wrapped : body
}

function isGenerate(verb: string | undefined): boolean {
  return verb === 'generateContent' || verb === 'streamGenerateContent'
}

export function geminiUsage(value: Json | undefined): Usage | undefined {
  const usage = object(value)
  if (usage === undefined) return undefined
  const thoughts = count(usage['thoughtsTokenCount'])
  return usageOf({
    inputTokens: sumOfKnown(count(usage['promptTokenCount']), count(usage['toolUsePromptTokenCount'])),
    outputTokens: sumOfKnown(count(usage['candidatesTokenCount']) ?? count(usage['responseTokenCount']), thoughts),
    cacheReadTokens: count(usage['cachedContentTokenCount']),
    reasoningTokens: thoughts,
    totalTokens: count(usage['totalTokenCount']),
    inputAudioTokens: ofModality(usage['promptTokensDetails'], 'AUDIO'),
    cacheReadAudioTokens: ofModality(usage['cacheTokensDetails'], 'AUDIO'),
    outputAudioTokens: ofModality(usage['candidatesTokensDetails'] ?? usage['responseTokensDetails'], 'AUDIO'),
    inputImageTokens: ofModality(usage['promptTokensDetails'], 'IMAGE'),
    cacheReadImageTokens: ofModality(usage['cacheTokensDetails'], 'IMAGE'),
    outputImageTokens: ofModality(usage['candidatesTokensDetails'] ?? usage['responseTokensDetails'], 'IMAGE'),
  })
}

/** The tokens of one modality: `[{modality: 'AUDIO', tokenCount: 25}, …]`. */
function ofModality(details: Json | undefined, modality: string): number | undefined {
  const list = array(details)
  return list === undefined
    ? undefined
    : sumOfKnown(...list.map((one) => (at(one, 'modality') === modality ? count(at(one, 'tokenCount')) : undefined)))
}

/** Provisioned throughput is paid for by the hour. */
function tierOf(usage: Json | undefined): string | undefined {
  const traffic = text(at(usage, 'trafficType'))
  return traffic?.startsWith('PROVISIONED') ? 'provisioned' : text(at(usage, 'serviceTier'))?.toLowerCase()
}

function finishReasonsOf(facts: ResponseFacts, body: JsonObject): readonly string[] | undefined {
  let reasons = facts.finishReasons
  const candidates = array(body['candidates']) ?? []
  candidates.forEach((candidate, position) => {
    // With `$alt=json;enum-encoding=int` the reason is a number; 0 is "unspecified".
    const code = count(at(candidate, 'finishReason'))
    const reason = code === undefined ? text(at(candidate, 'finishReason')) : code === 0 ? undefined : String(code)
    if (reason === undefined || reason === 'FINISH_REASON_UNSPECIFIED') return
    reasons = withFinish(reasons, count(at(candidate, 'index')) ?? position, reason)
  })
  return reasons
}

function readGenerate(json: Json | undefined, path: string): RequestFacts {
  const outer = object(json) ?? noBody
  // Code Assist names the model beside the request, and no model in the path.
  const isWrapped = googleMethod(path)?.model === 'v1internal'
  const body = isWrapped ? (object(outer['request']) ?? noBody) : outer
  const config = object(body['generationConfig']) ?? object(body['generation_config']) ?? noBody
  const either = (camel: string, snake: string): Json | undefined => config[camel] ?? config[snake]
  const method = googleMethod(path)
  const choices = count(either('candidateCount', 'candidate_count'))
  const mime = text(either('responseMimeType', 'response_mime_type'))
  return requestFacts({
    operation: 'generate_content',
    usageExpected: true,
    model: (isWrapped ? undefined : method?.model) ?? text(outer['model']),
    stream: method?.verb === 'streamGenerateContent' || undefined,
    maxTokens: count(either('maxOutputTokens', 'max_output_tokens')),
    temperature: number(config['temperature']),
    topP: number(either('topP', 'top_p')),
    topK: number(either('topK', 'top_k')),
    frequencyPenalty: number(either('frequencyPenalty', 'frequency_penalty')),
    presencePenalty: number(either('presencePenalty', 'presence_penalty')),
    seed: number(config['seed']),
    choiceCount: choices === 1 ? undefined : choices,
    outputType: mime === 'application/json' ? 'json' : outputTypeOfModalities(either('responseModalities', 'response_modalities')),
  })
}
