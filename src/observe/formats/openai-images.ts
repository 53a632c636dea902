/**
 * Image and video generation in OpenAI's shape: OpenAI, Azure, OpenRouter, xAI. Only the token-billed models report usage; xAI reports
 * money. Adjustment: none. Source: https://platform.openai.com/docs/api-reference/images
 */
import type { ResponseFacts } from '../../lib/exchange.ts'
import { array, at, type Json, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn, usageLesson } from './learn.ts'
import { openaiUsage } from './openai-usage.ts'
import { deploymentOf, endsWithAny } from './paths.ts'
import { noBody, openaiSettings, requestFacts } from './request.ts'

export const openaiImages: Format = {
  name: 'openai-images',
  provider: 'openai',
  wantedKeys: ['usage', 'error'],
  claims: (method, path) =>
    method === 'POST' && endsWithAny(path, ['/images/generations', '/images/edits', '/images/variations', '/v1/images']),
  recognises: (message) => {
    if ((text(at(message, 'type')) ?? '').startsWith('image_')) return true
    const first = array(at(message, 'data'))?.[0]
    return at(first, 'b64_json') !== undefined || (at(first, 'url') !== undefined && at(message, 'created') !== undefined)
  },
  readRequest(json, path) {
    const body = object(json) ?? noBody
    const { model, stream, choiceCount } = openaiSettings(body)
    return requestFacts({
      operation: 'image_generation',
      // Others are billed by the picture.
      usageExpected: /gpt-image/.test(model ?? deploymentOf(path) ?? ''),
      model: model ?? deploymentOf(path),
      stream,
      choiceCount,
      outputType: 'image',
    })
  },
  readResponse(facts, message) {
    const type = text(at(message, 'type')) ?? ''
    return readMedia(facts, message, type.startsWith('image_') && type.endsWith('.completed'))
  },
}

/** Videos are made in the background: the answer is a job, which never carries usage. */
export const openaiVideos: Format = {
  name: 'openai-videos',
  provider: 'openai',
  wantedKeys: ['error'],
  claims: (method, path) => method === 'POST' && endsWithAny(path, ['/videos', '/videos/generations', '/videos/edits']),
  recognises: (message) => at(message, 'object') === 'video',
  readRequest(json, path) {
    const model = text(at(json, 'model')) ?? deploymentOf(path)
    return requestFacts({ operation: 'video_generation', usageExpected: false, model, outputType: 'video' })
  },
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    return learn(facts, { id: idText(body['id']), model: text(body['model']), error: errorOf(body) })
  },
}

/** A message of the image and audio APIs: usage in OpenAI's shape, and little else. */
export function readMedia(facts: ResponseFacts, message: Json, isLast: boolean): ResponseFacts {
  const body = object(message)
  if (body === undefined) return facts
  return learn(facts, {
    id: idText(body['id']),
    model: text(body['model']),
    ...usageLesson(openaiUsage(body['usage']), body['usage']),
    finished: isLast || undefined,
    error: errorOf(body),
  })
}
