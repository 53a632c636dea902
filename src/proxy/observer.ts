/** What the proxy path tells whoever watches. Every call comes after the corresponding write to the peer. */
import type { Opening, Outcome } from '../lib/exchange.ts'

export interface ResponseHead {
  readonly status: number
  /** Flat list as received: name, value, name, value, … */
  readonly rawHeaders: readonly string[]
}

export interface Observer {
  /** Behind the head of an upgrade: what the client sends on the upgraded connection. `chunk` must not be kept beyond the end of the exchange, and never changed. */
  requestData(chunk: Uint8Array): void
  /** The whole request has been handed to the upstream connection. */
  requestEnd(): void
  /** The upstream refused what was sent; the client's own bytes follow, as a request anew. */
  requestAgain(): void
  /** A remark for the record: `usage_injected`, `usage_injection_refused`. */
  note(text: string): void
  /** Who called, when that is known later than the opening. */
  caller(name: string | undefined, claims?: Opening['labelInputs']): void
  /** `receivedAt` as given by the clock of the proxy path, in milliseconds (monotonic). */
  responseStart(head: ResponseHead, receivedAt: number): void
  responseData(chunk: Uint8Array, receivedAt: number): void
  /** The client has left; what follows is read for its usage only. */
  clientGone(): void
  /** Exactly once, whatever happens. `statusSent` is the status the client got, also for answers that the sidecar made itself. */
  end(outcome: Outcome, statusSent: number | undefined): void
}
