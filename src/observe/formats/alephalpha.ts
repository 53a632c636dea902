/** Aleph Alpha completions. Adjustment: none. Source: https://docs.aleph-alpha.com/api/complete/ */
import { array, at, boolean, count, number, object, string, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { errorOf, learn, usageOf, withFinish } from './learn.ts'
import { endsWithAny } from './paths.ts'
import { noBody, requestFacts } from './request.ts'

export const alephalpha: Format = {
  name: 'alephalpha',
  provider: 'aleph_alpha',
  wantedKeys: undefined,
  claims: (method, path) => method === 'POST' && endsWithAny(path, ['/complete', '/evaluate', '/explain', '/semantic_embed']),
  recognises: (message) => text(at(message, 'model_version')) !== undefined || count(at(message, 'num_tokens_prompt_total')) !== undefined,
  readRequest(json, path) {
    const body = object(json) ?? noBody
    const choices = count(body['n'])
    return requestFacts({
      operation: endsWithAny(path, ['/semantic_embed']) ? 'embeddings' : 'text_completion',
      usageExpected: true,
      model: text(body['model']),
      stream: boolean(body['stream']),
      maxTokens: count(body['maximum_tokens']),
      temperature: number(body['temperature']),
      topP: number(body['top_p']),
      topK: number(body['top_k']),
      frequencyPenalty: number(body['frequency_penalty']),
      presencePenalty: number(body['presence_penalty']),
      choiceCount: choices === 1 ? undefined : choices,
    })
  },
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    let reasons = facts.finishReasons
    array(body['completions'])?.forEach((completion, index) => {
      const reason = text(at(completion, 'finish_reason'))
      if (reason !== undefined) reasons = withFinish(reasons, index, reason)
    })
    // A stream names the reason in its summary.
    const reason = string(body['type']) === 'stream_summary' ? text(body['finish_reason']) : undefined
    const usage = usageOf({ inputTokens: count(body['num_tokens_prompt_total']), outputTokens: count(body['num_tokens_generated']) })
    return learn(facts, {
      model: text(body['model_version']),
      finishReasons: reason === undefined ? reasons : withFinish(reasons, count(body['index']) ?? 0, reason),
      usage,
      finished: usage === undefined ? undefined : true,
      error: errorOf(body),
    })
  },
}
