/** Cohere Chat v2, as api.cohere.com answers it: events, `message-end` last with the usage. */
import type { Usage } from '../../src/lib/exchange.ts'
import { at, type JsonObject } from '../../src/lib/json.ts'
import { idFrom } from './numbers.ts'
import { type Incoming, jsonScript, type Piece, type Script, sse, streamScript, tellsUsage, textAt, understand } from './script.ts'

const failed = (status: number): Script =>
  jsonScript(undefined, undefined, { id: 'e', message: status === 429 ? 'trial limit reached' : 'internal server error' }, { status })

export function cohereChat(incoming: Incoming): Script {
  const { body } = incoming
  const asked = understand(incoming, {
    model: textAt(body, 'model'),
    streamed: at(body, 'stream') === true,
    prompt: at(body, 'messages'),
    maxTokens: at(body, 'max_tokens'),
  })
  const { behaviour, counts, words } = asked
  if (behaviour.kind === 'error') return failed(behaviour.status)
  if (behaviour.kind === 'broken' && !asked.streamed) return failed(500)
  const id = idFrom(asked.random, '', 32, true)
  const told = tellsUsage(asked)
  const tokens = { input_tokens: counts.input, output_tokens: counts.output }
  const wire = {
    billed_units: { input_tokens: Math.max(0, counts.input - 4), output_tokens: counts.output },
    tokens,
    cached_tokens: counts.cacheRead,
  }
  const usage: Usage = { inputTokens: counts.input, outputTokens: counts.output, cacheReadTokens: counts.cacheRead }
  const finish = { finish_reason: counts.limited ? 'MAX_TOKENS' : 'COMPLETE', ...(told ? { usage: wire } : {}) }
  if (!asked.streamed) {
    const message = { role: 'assistant', content: [{ type: 'text', text: words.join('') }] }
    return jsonScript(asked, id, { id, message, ...finish }, { usage: told ? usage : undefined })
  }
  const event = (type: string, fields: JsonObject, known?: Usage): Piece => ({ text: sse({ type, ...fields }, type), usage: known })
  const content = (text: string) => ({ index: 0, delta: { message: { content: { text } } } })
  const pieces = [
    event('message-start', { id, delta: { message: { role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] } } }),
    event('content-start', { index: 0, delta: { message: { content: { type: 'text', text: '' } } } }),
    ...words.map((word) => event('content-delta', content(word))),
    event('content-end', { index: 0 }),
    event('message-end', { delta: finish }, told ? usage : undefined),
  ]
  const failure = [event('message-end', { delta: { finish_reason: 'ERROR', error: 'internal server error' } })]
  return streamScript(asked, id, pieces, failure, {})
}
