/**
 * Gemini embedContent and batchEmbedContents. Most models report no usage, which is none missing. Adjustment: none.
 * Source: https://ai.google.dev/api/embeddings
 */
import { array, at, count, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, learn, usageLesson, usageOf } from './learn.ts'
import { googleMethod } from './paths.ts'
import { requestFacts } from './request.ts'

const verbs: ReadonlySet<string> = new Set(['embedContent', 'batchEmbedContents', 'asyncBatchEmbedContent'])

export const geminiEmbed: Format = {
  name: 'gemini-embed',
  provider: 'gcp.gemini',
  wantedKeys: undefined,
  claims: (method, path) => method === 'POST' && verbs.has(googleMethod(path)?.verb ?? ''),
  recognises: (message) =>
    array(at(message, 'embedding', 'values')) !== undefined || array(at(array(at(message, 'embeddings'))?.[0], 'values')) !== undefined,
  readRequest: (_json, path) => requestFacts({ operation: 'embeddings', usageExpected: false, model: googleMethod(path)?.model }),
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    const raw = body['usageMetadata']
    const usage = usageOf({ inputTokens: count(at(raw, 'promptTokenCount')), totalTokens: count(at(raw, 'totalTokenCount')) })
    return learn(facts, { model: text(body['modelVersion']), ...usageLesson(usage, raw), error: errorOf(body) })
  },
}
