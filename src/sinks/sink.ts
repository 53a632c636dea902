/** Where finished exchanges go. Sinks live on the recorder thread and know nothing of each other. */
import type { Exchange, Opening } from '../lib/exchange.ts'

/** A batch is what one message from the proxying thread brought: requests opened and not yet ended, and requests ended. */
export interface Batch {
  readonly opened: readonly Opening[]
  readonly ended: readonly Exchange[]
}

export interface Sink {
  readonly name: string
  /** Returns at once. May throw: the fan-out catches and counts it, and the other sinks are not disturbed. */
  record(batch: Batch): void
  /** Writes what is still held and lets go of every resource. */
  close(): Promise<void>
}
