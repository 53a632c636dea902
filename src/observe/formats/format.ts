/** messages → facts. A wire format is a pure fold: no I/O, no clock, no state but the facts it is handed. */
import type { RequestFacts, ResponseFacts, Side } from '../../lib/exchange.ts'
import type { Json } from '../../lib/json.ts'

export type Headers = Readonly<Record<string, string>>

/** Of a connection that carries many requests and responses, both as messages. */
export interface SessionFormat {
  /** JSON keys one of which stands in every message of the client that can teach something. */
  readonly wantedKeys: readonly string[]
  /** JSON also comes in binary messages. */
  readonly inBinary?: true
  /** What one message says about what is asked for. Returns `facts` itself when nothing was learnt. Never throws. */
  readRequest(facts: RequestFacts, message: Json, from: Side): RequestFacts
}

export interface Format {
  /** Stable name, kebab-case: `openai-chat`. It is a ledger value. */
  readonly name: string
  /** Whose format it is, for the documents. Which provider a request had is decided by `conclude/providers/rules.ts`. */
  readonly provider: string | undefined
  /**
   * JSON keys one of which, with a value other than null, stands in every message that can teach something once id and model are known.
   * `undefined` when every message matters.
   */
  readonly wantedKeys: readonly string[] | undefined
  /** Whether this format is spoken at that path. `path` has no query. Several formats may claim one path: then `recognises` decides. */
  claims(method: string, path: string): boolean
  /** Whether a response message (or whole body) has this format's shape. Used for paths claimed by several formats, or by none. */
  recognises(message: Json, event: string | undefined): boolean
  /** Its path leaves no doubt, and its answers have no shape of their own: nobody else's shape is looked for in them. */
  readonly isCertain?: true
  /** Its streams end without saying so: one that has closed is whole. */
  readonly hasNoEnd?: true
  /** Whether anybody may use that path: the format stands only where the answer is recognised, or its usage read. */
  isHint?(path: string): boolean
  /** False for what is answered without a model (JSON-RPC): the record names no format and no operation, and no usage is missed. */
  readonly isInference?: false
  /** `body` is undefined when there was none, or it was not JSON. `headers` are those kept for attribution. Never throws. */
  readRequest(body: Json | undefined, path: string, headers?: Headers): RequestFacts
  /** Whether an answer in `application/json` at that path is a JSON array sent element by element (Gemini without `alt=sse`). */
  arrayStream?(path: string): boolean
  /** Present where requests come as messages too. */
  readonly session?: SessionFormat
  /** Facts from response headers (Bedrock's token-count headers). Optional. */
  readHead?(facts: ResponseFacts, headers: Headers): ResponseFacts
  /** Returns `facts` itself when nothing was learnt. Never throws. */
  readResponse(facts: ResponseFacts, message: Json, event: string | undefined): ResponseFacts
}
