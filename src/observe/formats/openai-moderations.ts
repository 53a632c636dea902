/** OpenAI and Mistral moderation: free of charge, and never with usage. Source: https://platform.openai.com/docs/api-reference/moderations */
import { array, at, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, idText, learn } from './learn.ts'
import { endsWithAny } from './paths.ts'
import { requestFacts } from './request.ts'

export const openaiModerations: Format = {
  name: 'openai-moderations',
  provider: 'openai',
  wantedKeys: undefined,
  claims: (method, path) => method === 'POST' && endsWithAny(path, ['/moderations', '/chat/moderations']),
  recognises: (message) => at(array(at(message, 'results'))?.[0], 'flagged') !== undefined,
  readRequest: (json) => requestFacts({ operation: 'moderation', usageExpected: false, model: text(at(json, 'model')) }),
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    return learn(facts, { id: idText(body['id']), model: text(body['model']), error: errorOf(body) })
  },
}
