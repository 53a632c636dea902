/**
 * bytes → messages. A framer is pushed the chunks of one response body, however they were cut, and calls `onMessage` for each
 * message it completes. It never throws, holds at most twice `messageBytesMax` bytes, and knows nothing of models.
 */

/**
 * `data` is a view that is valid only during the call: into the pushed chunk where the message stood in one piece, else into the
 * framer's own block, which is used again. A Buffer, so that `data.toString()` decodes it without another view being made.
 * `event` is the SSE event name or the event-stream `:event-type` or `:exception-type`.
 */
export interface Message {
  readonly event: string | undefined
  readonly data: Buffer
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
   * be skipped without being framed one by one; `[DONE]` never is. `undefined` means every message is wanted.
   */
  readonly wantedKeys?: () => readonly string[] | undefined
}

export interface Framer {
  /** `chunk` must not be changed before the body has ended: `whole` keeps it. */
  push(chunk: Uint8Array): void
  /**
   * The body is over (whole or cut): emits a last message that is complete in all but its terminator. Of a body that was cut in the
   * middle of an SSE event or an NDJSON line that message is what had arrived, so it need not be JSON.
   */
  end(): void
}

export const defaultMessageBytesMax = 4 * 1024 * 1024
