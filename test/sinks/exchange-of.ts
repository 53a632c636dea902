/** One exchange as a test needs it: a streamed chat completion that came whole, with whatever the test says instead. */
import type { Ending, Exchange, Opening } from '../../src/lib/exchange.ts'

export const startedAt = 1_790_000_000_000.25

export interface Overrides {
  readonly opening?: Partial<Opening>
  readonly ending?: Partial<Ending>
}

export function openingOf(overrides: Partial<Opening> = {}): Opening {
  return {
    id: '01993c5c-0000-7000-8000-000000000001',
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    traceFlags: 1,
    startedAt,
    method: 'POST',
    path: '/v1/chat/completions',
    route: 'default',
    serverAddress: 'api.example.com',
    serverPort: 443,
    requestHeaders: {},
    ...overrides,
  }
}

export function endingOf(overrides: Partial<Ending> = {}): Ending {
  return {
    id: '01993c5c-0000-7000-8000-000000000001',
    outcome: { kind: 'answered' },
    status: 200,
    responseHeaders: {},
    streamed: true,
    framing: 'sse',
    requestBytes: 120,
    responseBytes: 4096,
    requestSentMs: 1,
    responseHeadMs: 40,
    firstChunkMs: 50,
    lastChunkMs: 250,
    endMs: 260.5,
    chunkCount: 11,
    firstByteOverheadMs: 0.042,
    format: 'openai-chat',
    notes: [],
    ...overrides,
  }
}

export function exchangeOf({
  opening = {},
  ending = {},
  ...overrides
}: Partial<Omit<Exchange, 'opening' | 'ending'>> & Overrides = {}): Exchange {
  const opened = openingOf(opening)
  return {
    opening: opened,
    ending: endingOf({ id: opened.id, ...ending }),
    endReason: 'completed',
    format: 'openai-chat',
    inference: true,
    operation: 'chat',
    provider: 'openai',
    request: { operation: 'chat', usageExpected: true, model: 'gpt-4o', stream: true },
    response: {
      id: 'chatcmpl-1',
      model: 'gpt-4o-2024-08-06',
      finishReasons: ['stop'],
      usage: { inputTokens: 20, outputTokens: 7 },
      finished: true,
    },
    usageOutcome: 'reported',
    notes: [],
    ...overrides,
  }
}

/** A request that is no inference: the list of models. */
export function otherExchangeOf(overrides: Overrides & Partial<Pick<Exchange, 'errorType' | 'endReason'>> = {}): Exchange {
  const { opening, ending, ...rest } = overrides
  return {
    opening: openingOf({ method: 'GET', path: '/v1/models', ...opening }),
    ending: endingOf({ streamed: false, framing: 'whole', format: undefined, chunkCount: 1, lastChunkMs: 50, ...ending }),
    endReason: 'completed',
    inference: false,
    notes: [],
    ...rest,
  }
}

/** The same exchange with a refused status and no facts. */
export function failedExchangeOf(status: number, overrides: Overrides = {}): Exchange {
  return exchangeOf({
    ...overrides,
    ending: { status, streamed: false, framing: 'whole', ...overrides.ending },
    response: undefined,
    usageOutcome: undefined,
    errorType: String(status),
  })
}
