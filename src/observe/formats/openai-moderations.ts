/**
 * Moderation: free of charge and without usage at OpenAI; Mistral bills it, and reports usage.
 * Sources: https://platform.openai.com/docs/api-reference/moderations, https://docs.mistral.ai/api (classifiers)
 */
import { array, at, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn, usageLesson } from './learn.ts'
import { openaiUsage } from './openai-usage.ts'
import { endsWithAny } from './paths.ts'
import { requestFacts } from './request.ts'

export const openaiModerations: Format = {
  name: 'openai-moderations',
  provider: 'openai',
  wantedKeys: undefined,
  claims: (method, path) =>
    method === 'POST' && endsWithAny(path, ['/moderations', '/chat/moderations', '/classifications', '/chat/classifications']),
  recognises: (message) =>
    at(array(at(message, 'results'))?.[0], 'flagged') !== undefined ||
    at(array(at(message, 'results'))?.[0], 'category_scores') !== undefined,
  readRequest: (json) => requestFacts({ operation: 'moderation', usageExpected: false, model: text(at(json, 'model')) }),
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    return learn(facts, {
      id: idText(body['id']),
      model: text(body['model']),
      ...usageLesson(openaiUsage(body['usage']), body['usage']),
      error: errorOf(body),
    })
  },
}
