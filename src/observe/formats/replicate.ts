/**
 * Replicate predictions. Most are billed by the second; language models name their counts in `metrics`.
 * Adjustment: none. Source: https://replicate.com/docs/topics/predictions/lifecycle
 */
import { at, boolean, count, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { idText, learn, namedError, usageOf } from './learn.ts'
import { noBody, requestFacts } from './request.ts'

const createPath = /\/(?:(?:models|deployments)\/([^/]+\/[^/]+)\/)?predictions\/?$/
/** The stream of a prediction: events named `output` with plain text, then `done`. */
const streamPath = /\/v1\/(streams\/[^/]+|predictions\/[^/]+\/stream)\/?$/

export const replicate: Format = {
  name: 'replicate',
  provider: 'replicate',
  hasNoEnd: true,
  wantedKeys: undefined,
  claims: (method, path) => (method === 'POST' && createPath.test(path)) || (method === 'GET' && streamPath.test(path)),
  recognises: (message) => text(at(message, 'urls', 'get'))?.includes('/predictions/') === true,
  readRequest(json, path) {
    const body = object(json) ?? noBody
    const isStream = streamPath.test(path)
    return requestFacts({
      operation: isStream ? 'fetch_response' : 'text_completion',
      // The answer comes while the prediction is still starting, unless the client waits for it; the stream has text only.
      usageExpected: false,
      model: createPath.exec(path)?.[1] ?? text(body['version']),
      stream: boolean(body['stream']) ?? (isStream || undefined),
    })
  },
  readResponse(facts, message, event) {
    const body = object(message)
    if (event === 'done') return learn(facts, { finished: true })
    if (event === 'error') return learn(facts, { error: namedError('error', text(at(message, 'detail')) ?? text(message)) })
    if (body === undefined) return facts
    const error = text(body['error'])
    return learn(facts, {
      id: idText(body['id']),
      model: text(body['model']),
      usage: usageOf({
        inputTokens: count(at(body, 'metrics', 'input_token_count')),
        outputTokens: count(at(body, 'metrics', 'output_token_count')),
      }),
      finished: body['completed_at'] === undefined || body['completed_at'] === null ? undefined : true,
      error: error === undefined ? undefined : namedError('prediction_failed', error),
    })
  },
}
