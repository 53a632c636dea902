/** OpenAI Responses, as api.openai.com answers it: named events with sequence numbers, usage in the last one, no `[DONE]`. */
import type { Usage } from '../../src/lib/exchange.ts'
import { at, type JsonObject } from '../../src/lib/json.ts'
import { idFrom } from './numbers.ts'
import { openaiError, openaiHeaders } from './openai.ts'
import {
  type Asked,
  type Incoming,
  jsonScript,
  type Piece,
  type Script,
  sse,
  streamScript,
  tellsUsage,
  textAt,
  understand,
} from './script.ts'

export function responses(incoming: Incoming): Script {
  const { body } = incoming
  const maxTokens = at(body, 'max_output_tokens')
  const asked = understand(incoming, {
    model: textAt(body, 'model'),
    streamed: at(body, 'stream') === true,
    prompt: at(body, 'input'),
    maxTokens,
  })
  if (asked.behaviour.kind === 'error') return openaiError(asked.behaviour.status)
  if (asked.behaviour.kind === 'broken' && !asked.streamed) return openaiError(500)
  const answer = answerOf(asked)
  if (asked.streamed) {
    const { pieces, failure } = eventsOf(asked, answer)
    return streamScript(asked, answer.id, pieces, failure, openaiHeaders(asked))
  }
  const headers = { 'content-type': 'application/json', ...openaiHeaders(asked) }
  return jsonScript(asked, answer.id, answer.whole, { usage: answer.usage, headers })
}

interface Answer {
  readonly id: string
  readonly begun: JsonObject
  readonly message: JsonObject
  readonly part: JsonObject
  readonly whole: JsonObject
  readonly usage: Usage | undefined
}

function answerOf(asked: Asked): Answer {
  const { counts } = asked
  const id = idFrom(asked.random, 'resp_', 50, true)
  const part = { type: 'output_text', text: asked.words.join(''), annotations: [], logprobs: [] }
  const message = { id: idFrom(asked.random, 'msg_', 50, true), type: 'message', status: 'completed', role: 'assistant', content: [part] }
  const begun = {
    id,
    object: 'response',
    created_at: asked.now,
    status: 'in_progress',
    background: false,
    error: null,
    incomplete_details: null,
    model: asked.model,
    output: [],
    parallel_tool_calls: true,
    service_tier: 'auto',
    tool_choice: 'auto',
    tools: [],
    usage: null,
    metadata: {},
  }
  const totalTokens = counts.input + counts.output
  const wire = {
    input_tokens: counts.input,
    input_tokens_details: { cached_tokens: counts.cacheRead },
    output_tokens: counts.output,
    output_tokens_details: { reasoning_tokens: counts.reasoning },
    total_tokens: totalTokens,
  }
  const usage = {
    inputTokens: counts.input,
    outputTokens: counts.output,
    cacheReadTokens: counts.cacheRead,
    reasoningTokens: counts.reasoning,
    totalTokens,
  }
  const end = counts.limited ? { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } } : { status: 'completed' }
  const told = tellsUsage(asked)
  return {
    id,
    begun,
    message,
    part,
    whole: { ...begun, ...end, output: [message], service_tier: 'default', usage: told ? wire : null },
    usage: told ? usage : undefined,
  }
}

function eventsOf(asked: Asked, { begun, message, part, whole, usage }: Answer): { readonly pieces: Piece[]; readonly failure: Piece[] } {
  let sequence = 0
  const event = (type: string, fields: JsonObject, told?: Usage): Piece => ({
    text: sse({ type, sequence_number: sequence++, ...fields }, type),
    usage: told,
  })
  const itemId = String(at(message, 'id'))
  const place = { item_id: itemId, output_index: 0, content_index: 0 }
  const last = at(whole, 'status') === 'incomplete' ? 'response.incomplete' : 'response.completed'
  const pieces = [
    event('response.created', { response: begun }),
    event('response.in_progress', { response: begun }),
    event('response.output_item.added', { output_index: 0, item: { ...message, status: 'in_progress', content: [] } }),
    event('response.content_part.added', { ...place, part: { ...part, text: '' } }),
    ...asked.words.map((delta) =>
      event('response.output_text.delta', { ...place, delta, logprobs: [], obfuscation: idFrom(asked.random, '', 8) }),
    ),
    event('response.output_text.done', { ...place, text: asked.words.join(''), logprobs: [] }),
    event('response.content_part.done', { ...place, part }),
    event('response.output_item.done', { output_index: 0, item: message }),
    event(last, { response: whole }, usage),
  ]
  sequence = Math.ceil(pieces.length / 2)
  const error = { code: 'server_error', message: 'The server had an error while processing your request.' }
  return { pieces, failure: [event('response.failed', { response: { ...begun, status: 'failed', error } })] }
}
