/**
 * Alibaba's DashScope in its own shape: text and multimodal generation, embeddings, rerank, and the jobs for pictures and speech.
 * Usage is cumulative: the last one stands. Embeddings and rerank report a total alone, which is the input. `request_id` is no response id.
 * Source: https://help.aliyun.com/zh/model-studio/use-qwen-by-calling-api
 */
import type { RequestFacts, ResponseFacts, Usage } from '../../lib/exchange.ts'
import { array, at, type Json, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, learn, usageLesson, withFinish } from './learn.ts'
import { added, openaiUsage } from './openai-usage.ts'
import { noBody, openaiSettings, outputTypeOf, requestFacts } from './request.ts'
import { operationOfModel } from './spoken.ts'

const servicePath = /\/api\/v1\/(?:services\/(aigc|embeddings|rerank|audio|nlp)\/(?:([a-z0-9-]+)\/)?|apps\/[^/]+\/completion)/

export const dashscope: Format = {
  name: 'dashscope',
  provider: 'alibaba',
  wantedKeys: ['usage', 'finish_reason', 'code'],
  claims: (method, path) => method === 'POST' && servicePath.test(path),
  recognises: (message) => text(at(message, 'request_id')) !== undefined && object(at(message, 'output')) !== undefined,
  readRequest,
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    const output = object(body['output']) ?? noBody
    const reasons = finishReasonsOf(facts, output)
    const isTotalAlone = array(output['embeddings']) !== undefined || array(output['results']) !== undefined
    const said = usageOf(body['usage'], isTotalAlone)
    return learn(facts, {
      finishReasons: reasons,
      ...usageLesson(said, at(body, 'usage', 'models') === undefined ? body['usage'] : undefined),
      finished:
        reasons !== facts.finishReasons ? true : facts.finished === undefined && choicesOf(output).some(isUnderWay) ? false : undefined,
      error: errorOf(body),
    })
  },
}

/** An app answers with what each of its models has used. */
function usageOf(raw: Json | undefined, totalIsInput: boolean): Usage | undefined {
  const all = array(at(raw, 'models')) ?? [raw]
  return all.reduce<Usage | undefined>((sum, one) => added(sum, openaiUsage(one, { totalIsInput, thinks: true })), undefined)
}

function choicesOf(output: { readonly [key: string]: Json | undefined }): readonly Json[] {
  return array(output['choices']) ?? [output as Json]
}

function isUnderWay(choice: Json): boolean {
  return at(choice, 'finish_reason') === 'null'
}

/** While an answer is being written its reason is the text "null". */
function finishReasonsOf(facts: ResponseFacts, output: { readonly [key: string]: Json | undefined }): readonly string[] | undefined {
  let reasons = facts.finishReasons
  choicesOf(output).forEach((choice, index) => {
    const reason = text(at(choice, 'finish_reason'))
    if (reason !== undefined && reason !== 'null') reasons = withFinish(reasons, index, reason)
  })
  return reasons
}

function operationOf(path: string): string {
  const [, service, kind = ''] = servicePath.exec(path) ?? []
  if (service === 'embeddings') return 'embeddings'
  if (service === 'rerank') return 'rerank'
  if (service === 'audio') return kind === 'asr' ? 'transcription' : 'speech'
  if (/image|img|style|wordart|virtualmodel|background/.test(kind)) return 'image_generation'
  return /video/.test(kind) ? 'video_generation' : 'chat'
}

function readRequest(json: Json | undefined, path: string): RequestFacts {
  const body = object(json) ?? noBody
  const { model, stream, ...settings } = openaiSettings(object(body['parameters']) ?? noBody)
  const named = operationOf(path)
  // Models for pictures and speech share the path of those that chat about them.
  const operation = named === 'chat' ? operationOfModel(text(body['model']) ?? '') : named
  return requestFacts({
    operation,
    usageExpected: operation === 'chat' || operation === 'embeddings' || operation === 'rerank',
    ...settings,
    model: text(body['model']) ?? model,
    // It is a header that asks for a stream.
    stream,
    outputType: outputTypeOf(at(body, 'parameters', 'response_format')),
  })
}
