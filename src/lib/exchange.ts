/**
 * An exchange: one proxied request, and everything known about it when it ended.
 * Types only. Every view (span, metric, log line, ledger row) derives from `Exchange`.
 *
 * A field that is absent or `undefined` was not reported. It is never turned into zero.
 */

/**
 * Token counts as the provider reported them, in tokens.
 * `inputTokens` includes cached tokens; `outputTokens` includes reasoning tokens (the GenAI conventions' reading).
 */
export interface Usage {
  readonly inputTokens?: number | undefined
  readonly outputTokens?: number | undefined
  readonly cacheReadTokens?: number | undefined
  readonly cacheWriteTokens?: number | undefined
  readonly reasoningTokens?: number | undefined
  /** The provider's own total, where it gives one. */
  readonly totalTokens?: number | undefined
  // Parts of the counts above that have a price of their own. They are read for the cost alone.
  /** Part of the cache writes that are kept for an hour; the rest is kept for five minutes. */
  readonly cacheWrite1hTokens?: number | undefined
  readonly inputAudioTokens?: number | undefined
  readonly cacheReadAudioTokens?: number | undefined
  readonly outputAudioTokens?: number | undefined
  readonly inputImageTokens?: number | undefined
  readonly cacheReadImageTokens?: number | undefined
  readonly outputImageTokens?: number | undefined
  /** Searches that the provider made and charges for; no tokens. */
  readonly webSearches?: number | undefined
}

/** What telemetry records of a request's body and path. */
export interface RequestFacts {
  /** `gen_ai.operation.name`: chat, text_completion, embeddings, generate_content, or a name of ours (rerank, count_tokens, …). */
  readonly operation: string
  /** False when an answer to this request never carries billable usage (count_tokens, models, a stored response read back). */
  readonly usageExpected: boolean
  readonly model?: string | undefined
  readonly stream?: boolean | undefined
  /** The client itself asked for usage in the stream (OpenAI `stream_options.include_usage`). */
  readonly usageRequested?: boolean | undefined
  readonly maxTokens?: number | undefined
  readonly temperature?: number | undefined
  readonly topP?: number | undefined
  readonly topK?: number | undefined
  readonly frequencyPenalty?: number | undefined
  readonly presencePenalty?: number | undefined
  readonly seed?: number | undefined
  readonly choiceCount?: number | undefined
  /** `gen_ai.output.type`: text, json, image, speech. */
  readonly outputType?: string | undefined
  readonly conversationId?: string | undefined
  readonly serviceTier?: string | undefined
  /** How much context searches may add (Perplexity `web_search_options.search_context_size`). */
  readonly searchContext?: 'low' | 'medium' | 'high' | undefined
  /** `openai.api.type`: chat_completions or responses. */
  readonly openaiApiType?: string | undefined
}

/** What a wire format has read from the messages of a response, folded one by one. */
export interface ResponseFacts {
  readonly id?: string | undefined
  readonly model?: string | undefined
  /** The provider's own spelling, one per choice. */
  readonly finishReasons?: readonly string[] | undefined
  readonly usage?: Usage | undefined
  /** A second defensible reading that differs from `usage` (Anthropic compaction: the sum of `usage.iterations`). */
  readonly usageOfIterations?: Usage | undefined
  /**
   * What a stream's first event calls its output, while no output has come. Never in a record: it is the output of a stream that the
   * upstream ended there, and nothing once it goes on.
   */
  readonly startOutputTokens?: number | undefined
  /** The terminal event of the wire format was seen: the answer is whole. */
  readonly finished?: boolean | undefined
  /** An error reported inside a body, also in a stream that began with 200. */
  readonly error?: { readonly type: string; readonly message?: string | undefined } | undefined
  readonly serviceTier?: string | undefined
  readonly systemFingerprint?: string | undefined
  /** The upstream provider, where the body itself names it (OpenRouter `provider`). */
  readonly provider?: string | undefined
  /** What the provider itself says that this answer cost, in USD. */
  readonly reportedCostUsd?: number | undefined
  /** Where inference ran, when that has a price of its own (Anthropic `usage.inference_geo`). */
  readonly inferenceGeo?: string | undefined
  /** It could search by OpenAI's `web_search_preview`, which has a price of its own. */
  readonly previewSearch?: boolean | undefined
  /** It called tools of the provider other than searches, which cost something beside the tokens. */
  readonly paidTools?: boolean | undefined
  /** A usage object was present, but not one of its counts could be read. */
  readonly usageNotUnderstood?: boolean | undefined
  /** Ids of the model calls whose usage has been added up (Bedrock Agents). Never in a record. */
  readonly calls?: readonly string[] | undefined
  /** A response that was made in the background: its usage comes when it is read back. Never in a record. */
  readonly background?: boolean | undefined
  /** Of a connection that carries many responses (Realtime); `usage` is their sum. */
  readonly responses?: ConnectionResponses | undefined
}

/** The responses of one connection. */
export interface ConnectionResponses {
  readonly ended: number
  /** Started and not ended. */
  readonly underWay: number
  /** The last ones that ended, in that order; bounded, so that a connection of days stays small. */
  readonly last: readonly EndedResponse[]
}

export interface EndedResponse {
  readonly id?: string | undefined
  /** The provider's own spelling: why it ended, or its status. */
  readonly finishReason?: string | undefined
  readonly usage?: Usage | undefined
}

/** Of the sidecar. */
export type Side = 'client' | 'upstream'

/** Why an upstream gave no response head. */
export type UnreachableReason = 'dns' | 'connect' | 'tls' | 'timeout' | 'closed' | 'protocol' | 'proxy_refused' | 'proxy_unreachable'

/** What a client did not do in time: send the rest of its request, read what waited for it. */
export type ClientSilence = 'client_body_timeout' | 'client_read_timeout'

/** How the exchange ended, seen by the proxy path. */
export type Outcome =
  /** `endedBy`: the side that first closed an upgraded connection which both sides closed normally. */
  | { readonly kind: 'answered'; readonly endedBy?: Side | undefined }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'unreachable'; readonly reason: UnreachableReason; readonly message?: string | undefined }
  | { readonly kind: 'upstream-aborted'; readonly message?: string | undefined }
  /** `reason`: the client was there, and was waited for no longer. */
  | { readonly kind: 'client-aborted'; readonly reason?: ClientSilence | undefined }
  | { readonly kind: 'sidecar-stopped' }

/** `tokenweir.end_reason`. A client that closes after the terminal event has had its whole answer: `completed`. */
export type EndReason = 'completed' | 'refused' | 'unreachable' | 'upstream-aborted' | 'client-aborted' | 'sidecar-stopped'

/** `tokenweir.usage.outcome` of an answered inference request. */
export type UsageOutcome = 'reported' | 'zero' | 'partial' | 'missing' | 'undecodable'

/** `tokenweir.usage.reason`: why the outcome is not `reported`. */
export type UsageReason =
  | 'not_requested'
  | 'upstream_omitted'
  | 'client_left'
  | 'upstream_cut'
  | 'sidecar_stopped'
  | 'parse_error'
  | 'unsupported_encoding'
  | 'limit_hit'
  | 'unknown_format'

/** The trace of a caller that is instrumented itself; this exchange's span is in another trace and points at it. */
export interface SpanLink {
  readonly traceId: string
  readonly spanId: string
  /** W3C trace flags, 0 to 255. */
  readonly traceFlags: number
  readonly traceState?: string | undefined
}

/** `cost_source`: what the provider said, the configured prices, or the table of public prices. */
export type CostSource = 'reported' | 'custom' | 'table'

/** What an answer cost. `free` is a price of zero; `unpriced` has no amount, which is not zero. */
export type Cost =
  | {
      readonly status: 'priced' | 'free'
      readonly usd: number
      readonly source: CostSource
      /** USD by which prompt caching made it cheaper; below zero where writing to the cache cost more. Undefined where it is not certain. */
      readonly cacheSavedUsd?: number | undefined
    }
  | { readonly status: 'unpriced' }

/** One limit on rate, as the head of an answer told it. What was not told is absent. */
export interface RateLimit {
  /** What is limited, and in which window where its name says so: `requests`, `tokens`, `input_tokens`, `tokens_minute`, … */
  readonly kind: string
  readonly limit?: number | undefined
  readonly remaining?: number | undefined
  /** Milliseconds from the head until it is whole again. */
  readonly resetMs?: number | undefined
}

/** A text's length, and its beginning: enough to estimate its tokens from. */
export interface TextSample {
  readonly characters: number
  /** The first characters, up to a limit. */
  readonly beginning: string
}

/** What is known when a request arrives. Enough for a ledger row that a crash leaves open. Structured-cloneable. */
export interface Opening {
  /** Our own id, UUIDv7: sorts by time, never collides with a provider's. */
  readonly id: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string | undefined
  /** The caller's W3C trace flags (0 to 255); 1 when the caller sent none. */
  readonly traceFlags: number
  readonly traceState?: string | undefined
  /** Present where the route links to its callers' traces in place of joining them. */
  readonly link?: SpanLink | undefined
  /** The route's callers report usage themselves: neither span nor `gen_ai.*` metrics of this exchange repeat it. */
  readonly usageByCaller?: boolean | undefined
  /** Milliseconds since the epoch, with fraction. */
  readonly startedAt: number
  readonly method: string
  /** The path as the client sent it, without the query. */
  readonly path: string
  /** The model that the query of an upgrade names: a WebSocket's first message may say nothing of it. */
  readonly queryModel?: string | undefined
  /** Name of the configured route, a bounded set: safe as a metric label. */
  readonly route: string
  /** The upstream's. */
  readonly serverAddress: string
  readonly serverPort: number
  /** Provider set explicitly on the route, if any. */
  readonly routeProvider?: string | undefined
  /** The caller, where it is known when the request starts: a name made from the key, a header's value, a verified claim. Never a credential. */
  readonly caller?: string | undefined
  /** What the query, or a verified token, says for labels: by `query:NAME` or `claim:NAME`. */
  readonly labelInputs?: Readonly<Record<string, string>> | undefined
  /** Request headers that attribution and labels read, lower-case names, no secrets. */
  readonly requestHeaders: Readonly<Record<string, string>>
}

/** How the response was framed; `none` when there was no body to frame. */
export type Framing = 'sse' | 'ndjson' | 'json-array' | 'eventstream' | 'websocket' | 'whole' | 'none'

export interface FirstToken {
  /** Milliseconds after `startedAt`. */
  readonly ms: number
  /** Of reasoning that the stream shows, or of the answer itself. */
  readonly of: 'reasoning' | 'answer'
}

/** What is known of a WebSocket beyond the facts of its responses. */
export interface Session {
  /** What the client's messages asked for, and where they did not say so, what the upstream's say that it took them for. */
  readonly request?: RequestFacts | undefined
  /** When each of `ResponseFacts.responses.last` ended, in milliseconds after `startedAt`. */
  readonly responseEndMs: readonly number[]
  /** The first Close frame. Its code is absent when it had none. */
  readonly close?: { readonly by: Side; readonly code?: number | undefined } | undefined
}

/** What the proxying thread knows when a request has ended. Structured-cloneable. */
export interface Ending {
  readonly id: string
  readonly outcome: Outcome
  /** The status sent to the client, or that would have been sent had it not disconnected; undefined when there was none. */
  readonly status?: number | undefined
  /** Response headers that attribution and formats read, lower-case names, no secrets. */
  readonly responseHeaders: Readonly<Record<string, string>>
  /** The answer came as a sequence of messages (SSE, NDJSON, JSON array of a streaming method, event-stream, WebSocket). */
  readonly streamed: boolean
  readonly framing: Framing
  readonly contentEncoding?: string | undefined
  readonly requestBytes: number
  readonly responseBytes: number
  /** Milliseconds after `startedAt`. */
  readonly requestSentMs?: number | undefined
  readonly responseHeadMs?: number | undefined
  readonly firstChunkMs?: number | undefined
  readonly lastChunkMs?: number | undefined
  /** When the first token of a stream's output came. Undefined where no token was recognised. */
  readonly firstToken?: FirstToken | undefined
  readonly endMs: number
  /** Reading after the client disconnected (policy `drain`): how long, in milliseconds, and how many bytes. */
  readonly drained?: { readonly ms: number; readonly bytes: number } | undefined
  /** Chunks of the response body as read from the upstream. */
  readonly chunkCount: number
  /** Time between receiving the first bytes of the answer and having handed them to the client's socket, in milliseconds. */
  readonly firstByteOverheadMs?: number | undefined
  /** The caller, where finding it took time; it replaces the opening's. */
  readonly caller?: string | undefined
  /** What the token said for labels, where verifying it took time. */
  readonly labelInputs?: Readonly<Record<string, string>> | undefined
  /** Name of the format that folded the stream; for a whole body the recorder chooses it. */
  readonly format?: string | undefined
  /** Facts folded from the stream so far; undefined when the body is still to be read (see `Unread`). */
  readonly response?: ResponseFacts | undefined
  /** Of a WebSocket that was read. */
  readonly session?: Session | undefined
  /** Of the text of a stream's answer, when estimates are on. Content: it goes no further than the estimate. */
  readonly outputText?: TextSample | undefined
  /** Notes about what observation could not do: `limit_hit`, `parse_error`, `unsupported_encoding`, `observer_failed`. */
  readonly notes: readonly string[]
}

/** One finished request, concluded: the record that every sink receives. */
export interface Exchange {
  readonly opening: Opening
  readonly ending: Ending
  readonly endReason: EndReason
  /** A killed process left it open: `ending.endMs` is when that process last wrote a sign of life. */
  readonly endUnseen?: true | undefined
  /** Name of the wire format, where one was recognised. */
  readonly format?: string | undefined
  /** The wire format was recognised, or the answer was a stream to a POST: metrics of GenAI operations apply. */
  readonly inference: boolean
  /** Operation and provider are present whenever `inference` is true. */
  readonly operation?: string | undefined
  readonly provider?: string | undefined
  /** The caller; undefined when no configured source named one. */
  readonly caller?: string | undefined
  /** The operator's labels, by name. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  readonly request?: RequestFacts | undefined
  readonly response?: ResponseFacts | undefined
  readonly usageOutcome?: UsageOutcome | undefined
  readonly usageReason?: UsageReason | undefined
  /** Mean time of each output token after the first. Undefined where it cannot be known; see `conclude/speed.ts`. */
  readonly timePerOutputTokenMs?: number | undefined
  /** Present where usage was due, or the provider named a cost. */
  readonly cost?: Cost | undefined
  /** Counted by a tokenizer where the provider reported none. Never in token metrics, `gen_ai.usage.*` or the cost. */
  readonly estimatedInputTokens?: number | undefined
  readonly estimatedOutputTokens?: number | undefined
  /** The limits on rate that the answer's head told. */
  readonly rateLimits?: readonly RateLimit[] | undefined
  /** How long the upstream asked to wait before the next try, in milliseconds. */
  readonly retryAfterMs?: number | undefined
  /** `error.type`: an HTTP status as text, an unreachable reason, or the error reported inside a stream. */
  readonly errorType?: string | undefined
  /** Those of the ending, and of the conclusion: `usage_contradictory` when the reported counts cannot all be right. */
  readonly notes: readonly string[]
}
