/**
 * IBM watsonx text generation (its chat speaks OpenAI's shape). In a stream only the first event counts the input (0 afterwards), and the
 * generated count grows: the largest of each is taken. Adjustment: none.
 * Source: https://cloud.ibm.com/apidocs/watsonx-ai#text-generation-stream
 */
import type { ResponseFacts, Usage } from '../../lib/exchange.ts'
import { array, at, count, type Json, number, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn, namedError, sumOfKnown, usageLesson, usageOf, withFinish } from './learn.ts'
import { readCompletion } from './openai-chat.ts'
import { openaiUsage } from './openai-usage.ts'
import { endsWithAny } from './paths.ts'
import { noBody, openaiSettings, outputTypeOf, requestFacts } from './request.ts'

const generationPath =
  /\/ml\/(v\d[^/]*)(\/deployments\/[^/]+)?\/(generation\/text|generation\/text_stream|text\/generation|text\/generation_stream)\/?$/

export const watsonx: Format = {
  name: 'watsonx',
  provider: 'ibm.watsonx.ai',
  wantedKeys: undefined,
  claims: (method, path) => method === 'POST' && generationPath.test(path),
  recognises: (message) => at(array(at(message, 'results'))?.[0], 'generated_text') !== undefined,
  readRequest(json, path) {
    const body = object(json) ?? noBody
    const parameters = object(body['parameters']) ?? noBody
    return requestFacts({
      operation: 'text_completion',
      usageExpected: true,
      model: text(body['model_id']),
      stream: /_stream\/?$/.test(path) || undefined,
      maxTokens: count(parameters['max_new_tokens']),
      temperature: number(parameters['temperature']),
      topP: number(parameters['top_p']),
      topK: number(parameters['top_k']),
      seed: number(parameters['random_seed']),
    })
  },
  readResponse: readGeneration,
}

function readGeneration(facts: ResponseFacts, message: Json): ResponseFacts {
  const body = object(message)
  if (body === undefined) return facts
  const results = array(body['results']) ?? []
  let reasons = facts.finishReasons
  results.forEach((result, index) => {
    const reason = text(at(result, 'stop_reason'))?.toLowerCase()
    if (reason !== undefined && reason !== 'not_finished') reasons = withFinish(reasons, index, reason)
  })
  const failure = object(array(body['errors'])?.[0])
  return learn(facts, {
    model: text(body['model_id']),
    finishReasons: reasons,
    usage: largest(facts.usage, {
      inputTokens: sumOfKnown(...results.map((result) => count(at(result, 'input_token_count')))),
      outputTokens: sumOfKnown(...results.map((result) => count(at(result, 'generated_token_count')))),
    }),
    finished: reasons === undefined ? undefined : true,
    error: failure === undefined ? errorOf(body) : namedError(text(failure['code']) ?? 'error', text(failure['message'])),
  })
}

function largest(known: Usage | undefined, now: Usage): Usage | undefined {
  const larger = (one?: number, other?: number) => (one === undefined || other === undefined ? (one ?? other) : Math.max(one, other))
  return usageOf({
    inputTokens: larger(known?.inputTokens, now.inputTokens),
    outputTokens: larger(known?.outputTokens, now.outputTokens),
  })
}

/** watsonx chat, whose paths are its own; and embeddings, which count the input for all texts together. */
export const watsonxChat: Format = {
  name: 'watsonx-chat',
  provider: 'ibm.watsonx.ai',
  wantedKeys: ['usage', 'finish_reason', 'error', 'errors'],
  claims: (method, path) => method === 'POST' && endsWithAny(path, ['/text/chat', '/text/chat_stream']),
  recognises: (message) => text(at(message, 'model_id')) !== undefined && array(at(message, 'choices')) !== undefined,
  readRequest(json, path) {
    const body = object(json) ?? noBody
    return requestFacts({
      operation: 'chat',
      usageExpected: true,
      ...openaiSettings(body),
      model: text(body['model_id']),
      stream: /_stream\/?$/.test(path) || undefined,
      outputType: outputTypeOf(body['response_format']),
    })
  },
  readResponse: (facts, message) => learn(readCompletion(facts, message), { model: text(at(message, 'model_id')) }),
}

export const watsonxEmbeddings: Format = {
  name: 'watsonx-embeddings',
  provider: 'ibm.watsonx.ai',
  wantedKeys: undefined,
  claims: (method, path) => method === 'POST' && endsWithAny(path, ['/text/embeddings']),
  recognises: (message) => count(at(message, 'input_token_count')) !== undefined,
  readRequest: (json) => requestFacts({ operation: 'embeddings', usageExpected: true, model: text(at(json, 'model_id')) }),
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    const usage = usageOf({ inputTokens: count(body['input_token_count']) }) ?? openaiUsage(body['usage'], { totalIsInput: true })
    return learn(facts, { id: idText(body['id']), model: text(body['model_id']), ...usageLesson(usage, undefined), error: errorOf(body) })
  },
}
