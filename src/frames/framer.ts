/**
 * bytes → messages. A framer is pushed the chunks of one response body, however they were cut, and calls `onMessage` for each
 * message it completes. It never throws, holds at most `messageBytesMax` bytes, and knows nothing of models.
 */

/** `data` is a view that is valid only during the call. `event` is the SSE event name or the event-stream `:event-type`. */
export interface Message {
  readonly event: string | undefined
  readonly data: Uint8Array
}

/** What a framer could not do; each is reported at most once per body. */
export type FramerNote = 'limit_hit' | 'parse_error'

export interface FramerOptions {
  readonly onMessage: (message: Message) => void
  readonly onNote: (note: FramerNote) => void
  /** A longer message is skipped, noted as `limit_hit`, and framing resumes at the next message. Default 4 MiB. */
  readonly messageBytesMax?: number
  /**
   * Read again at each push. When it gives a list, messages in which none of these JSON keys occurs with a value other than `null` may
   * be skipped without being framed one by one. `undefined` means every message is wanted.
   */
  readonly wantedKeys?: () => readonly string[] | undefined
}

export interface Framer {
  push(chunk: Uint8Array): void
  /** The body is over (whole or cut): emits a last message that is complete in all but its terminator. */
  end(): void
}
