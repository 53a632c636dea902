/**
 * What travels from the proxying thread to the recorder thread: one message every few milliseconds, however many requests there were.
 * Bodies travel as one transferred block of bytes, so that no socket buffer is cloned; a `Slice` says which part is whose.
 */
import type { MessagePort } from 'node:worker_threads'
import type { Peer, RecordsState } from '../admin/front.ts'
import type { Ending, Opening } from '../lib/exchange.ts'
import type { UpstreamChange } from '../lib/upstream-health.ts'
import type { CloneableConfig } from './data.ts'

/** Offset and length in `Packed.bytes`. */
export type Slice = readonly [offset: number, length: number]

export interface Packed {
  /** Opened in this batch and not yet ended. */
  readonly opened: readonly Opening[]
  /** Request bodies that became complete, for requests still open. */
  readonly requests: readonly { readonly id: string; readonly body: Slice }[]
  readonly ended: readonly {
    /** Present when the request was opened in this same batch; else it was in an earlier batch's `opened`. */
    readonly opening?: Opening | undefined
    readonly ending: Ending
    /** Present when it was not in an earlier batch's `requests`. As sent: still content-encoded. */
    readonly requestBody?: Slice | undefined
    /** A whole (not streamed) response body that the recorder is to read. As received: still content-encoded. */
    readonly responseBody?: Slice | undefined
  }[]
  readonly bytes: Uint8Array
}

export type ToRecorder =
  /** `resent`: posted before to a recorder that died, and perhaps recorded by it. */
  | { readonly kind: 'batch'; readonly batch: Packed; readonly resent?: boolean }
  /** A connection to its admin server, and who has made it. */
  | { readonly kind: 'admin'; readonly port: MessagePort; readonly peer: Peer }
  /** Settings that hold from now on: what is concluded after it is concluded by them. Answered by `applied`. */
  | { readonly kind: 'settings'; readonly config: CloneableConfig }
  | { readonly kind: 'upstreams'; readonly changes: readonly UpstreamChange[] }
  /** Write and export everything within `deadlineMs`, then answer `closed`. */
  | { readonly kind: 'close'; readonly deadlineMs: number }

export type FromRecorder =
  | { readonly kind: 'ready' }
  /** What has changed of the state of its records. */
  | { readonly kind: 'state'; readonly state: RecordsState }
  /** Could not start, or lost something for good: the sentence says what to mend. `fatal` means the recorder gives up. */
  | { readonly kind: 'problem'; readonly message: string; readonly fatal: boolean }
  /** A batch has been recorded, and is no longer kept for another recorder. One answer for each batch, in their order. */
  | { readonly kind: 'recorded'; readonly ended: number }
  /** `files`: that were read again. */
  | { readonly kind: 'applied'; readonly files: readonly string[] }
  /** `lost`: records, which it has said. */
  | { readonly kind: 'closed'; readonly lost: number }
