/**
 * Speech to text, translation and text to speech in OpenAI's shape: OpenAI, Azure, Groq, Mistral, OpenRouter.
 * Models billed by duration report seconds, which are no tokens. Adjustment: Mistral counts audio beside the prompt; `openai-usage.ts`.
 * Sources: https://platform.openai.com/docs/api-reference/audio, https://docs.mistral.ai/capabilities/audio
 */
import { at, type JsonObject, number, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { readMedia } from './openai-images.ts'
import { deploymentOf, endsWith } from './paths.ts'
import { noBody, openaiSettings, requestFacts } from './request.ts'

const operations = [
  ['/audio/transcriptions', 'transcription'],
  ['/audio/translations', 'translation'],
  ['/audio/speech', 'speech'],
] as const

function operationOf(path: string): string | undefined {
  return operations.find(([suffix]) => endsWith(path, suffix))?.[1]
}

/** Most models are billed by duration or by characters, and answers that are sound, subtitles or plain text have no room for usage. */
function reportsTokens(operation: string, body: JsonObject, model: string | undefined): boolean {
  if (operation === 'speech') return body['stream_format'] === 'sse'
  const isJson = /^(json|verbose_json|diarized_json)$/.test(text(body['response_format']) ?? 'json')
  return isJson && /transcribe|voxtral/.test(model ?? '')
}

export const openaiAudio: Format = {
  name: 'openai-audio',
  provider: 'openai',
  wantedKeys: ['usage', 'error'],
  claims: (method, path) => method === 'POST' && operationOf(path) !== undefined,
  recognises: (message) => /^(transcript\.text|speech\.audio|transcription)\./.test(text(at(message, 'type')) ?? ''),
  readRequest(json, path) {
    const body = object(json) ?? noBody
    const { model, stream } = openaiSettings(body)
    const operation = operationOf(path) ?? 'transcription'
    return requestFacts({
      operation,
      usageExpected: reportsTokens(operation, body, model ?? deploymentOf(path)),
      model: model ?? deploymentOf(path),
      stream,
      temperature: number(body['temperature']),
      outputType: operation === 'speech' ? 'speech' : 'text',
    })
  },
  readResponse(facts, message) {
    const type = text(at(message, 'type')) ?? ''
    return readMedia(facts, message, /^(transcript\.text|speech\.audio|transcription)\.done$/.test(type))
  },
}
