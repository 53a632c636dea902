/** The one kind of change that may be made to an exchange: a request that asks for more, and a response from which that is taken out again. */

export interface ResponseFilter {
  /** The bytes that may go on to the client now. */
  push(chunk: Buffer): readonly Buffer[]
  /** What was still held back. */
  end(): readonly Buffer[]
}

/** What the first bytes of a response's body show of it. */
export type FirstEvent = 'unknown yet' | 'fine' | 'error'

export interface Edit {
  /** Sent instead of the client's own bytes; in pieces, most of which are those of the client. */
  readonly body: readonly Buffer[]
  /** Decides on the head of the response: `again` sends the client's own bytes instead, once, and this response is never seen. */
  judge(status: number): 'go on' | 'again'
  /**
   * Whether the response is held back until its first event is known, by its head. `first` is then asked with all of its body so far: on
   * `error`, or at an end before anything else, the client's own bytes are sent instead.
   */
  holds(rawHeaders: readonly string[]): boolean
  first(body: Buffer): FirstEvent
  /** The response has begun as it should. */
  accepted(): void
  /** The connection broke before a definite response. */
  broken(): void
  /** The response to the client's own bytes, after `again`. */
  judgedAgain(status: number): void
  /** For the response's body, by its head (flat list, as received); `undefined` when it crosses untouched. */
  filter(rawHeaders: readonly string[]): ResponseFilter | undefined
}

/** A request that goes as the client wrote it, whose response is looked at all the same. */
export interface Probe {
  /** The status of the response; undefined when none came. */
  answered(status: number | undefined): void
  /** Told of the body's bytes after they have gone on; by the head of the response, `undefined` when it is of no interest. */
  watch(rawHeaders: readonly string[]): { push(chunk: Buffer): void; end(): void } | undefined
  /** It was not asked for usage only to see whether usage comes all the same. */
  readonly isForKnowledge: boolean
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
  /** For a body that has to be read whole, because it may have to be changed; `undefined` for any other. */
  reads(head: RequestHead): BodyReader | undefined
}

export interface BodyReader {
  /** The next bytes of the body, as they come. False when it will not be changed, because looking at it would cost too much. */
  push(chunk: Buffer): boolean
  /** `body` is all that was pushed. `undefined` when the request is of no interest. */
  edit(body: readonly Buffer[]): Edit | Probe | undefined
}

export function isEdit(of: Edit | Probe | undefined): of is Edit {
  return of !== undefined && 'body' in of
}
