/** Exchanges for tests of the conclusion: an opening, an ending, and what of them a case is about. */
import { conclude, readRequest } from '../../src/conclude/conclude.ts'
import type { Ending, Exchange, Opening, Outcome, ResponseFacts } from '../../src/lib/exchange.ts'

const limits = { bodyBytes: 1_000_000 }
const bytes = (value: unknown) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))

export const opening = (more: Partial<Opening> = {}): Opening => ({
  id: 'id',
  traceId: '0'.repeat(32),
  spanId: '0'.repeat(16),
  traceFlags: 1,
  startedAt: 0,
  method: 'POST',
  path: '/v1/chat/completions',
  route: 'default',
  serverAddress: 'gateway.internal',
  serverPort: 443,
  requestHeaders: {},
  ...more,
})

export const ending = (more: Partial<Ending> = {}): Ending => ({
  id: 'id',
  outcome: { kind: 'answered' },
  status: 200,
  responseHeaders: {},
  streamed: false,
  framing: 'whole',
  requestBytes: 1,
  responseBytes: 1,
  endMs: 1,
  chunkCount: 1,
  notes: [],
  ...more,
})

export interface Given {
  readonly opening?: Partial<Opening>
  readonly ending?: Partial<Ending>
  readonly request?: unknown
  readonly body?: unknown
}

export function concluded(given: Given): Exchange {
  const open = opening(given.opening)
  const reading = given.request === undefined ? undefined : readRequest(open, bytes(given.request))
  const body = given.body instanceof Uint8Array ? given.body : given.body === undefined ? undefined : bytes(given.body)
  return conclude(open, ending(given.ending), reading, body, limits)
}

export const streamed = (response: ResponseFacts, more: Partial<Ending> = {}): Partial<Ending> => ({
  streamed: true,
  framing: 'sse',
  format: 'openai-chat',
  response,
  ...more,
})
export const usage = { inputTokens: 5, outputTokens: 2 }
export const chatBody = {
  object: 'chat.completion',
  choices: [{ message: {}, finish_reason: 'stop' }],
  usage: { prompt_tokens: 5, completion_tokens: 2 },
}
export const left: Outcome = { kind: 'client-aborted' }
export const cut: Outcome = { kind: 'upstream-aborted' }
export const stopped: Outcome = { kind: 'sidecar-stopped' }
export const asked = { stream: true, stream_options: { include_usage: true } }
