/** The one kind of change that may be made to an exchange: a request that asks for more, and an answer from which that is taken out again. */

export interface ResponseFilter {
  /** The bytes that may go on to the client now. */
  push(chunk: Buffer): readonly Buffer[]
  /** What was still held back. */
  end(): readonly Buffer[]
}

export interface Edit {
  /** Sent instead of the client's own bytes. */
  readonly body: Buffer
  /** Decides on the head of the answer: `again` sends the client's own bytes instead, once, and this answer is never seen. */
  judge(status: number): 'go on' | 'again'
  /** The status of the answer to the client's own bytes, after `again`. */
  judgedAgain(status: number): void
  /** For the answer's body, by its head (flat list, as received); `undefined` when it crosses untouched. */
  filter(rawHeaders: readonly string[]): ResponseFilter | undefined
}

export interface RequestHead {
  readonly origin: string
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly contentType: string | undefined
  readonly contentEncoding: string | undefined
}

export interface Editor {
  /** Whether the body has to be read whole, because it may have to be changed. */
  wants(head: RequestHead): boolean
  /** `undefined` when the client's own bytes are to be sent. */
  edit(head: RequestHead, body: Buffer): Edit | undefined
}
