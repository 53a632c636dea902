/** Batches on their way to the recorder, the oldest first: each is kept until a recorder has acknowledged it. */
import type { Packed } from './batch.ts'
import { type PendingBatch, packed } from './pending-batch.ts'

/** Endings that one recorder may have before it: what waits beyond them is packed when its turn comes, so a long queue holds up nothing. */
const endingsUnderWayMax = 4000
/** Deaths with the same batch first in the queue: then its bodies are left out, then it is given up. */
const deathsWithBodiesMax = 2
export const deathsMax = 3

interface Queued {
  batch: PendingBatch
  /** The recorder for which it was gathered, counted from 0. */
  readonly recorder: number
  wasPosted: boolean
  deaths: number
  /** `performance.now()` when it was added. */
  readonly addedAt: number
}

export interface Posting {
  readonly batch: Packed
  /** A recorder that died had it before, and perhaps recorded it. */
  readonly isResent: boolean
}

export class BatchQueue {
  #queued: Queued[] = []
  /** The first so many have been posted to the recorder of now. */
  #posted = 0
  #endingsUnderWay = 0
  #recorder = 0

  get isEmpty(): boolean {
    return this.#queued.length === 0
  }

  get isAllPosted(): boolean {
    return this.#posted === this.#queued.length
  }

  /** Endings in it. */
  get endings(): number {
    return this.#queued.reduce((sum, { batch }) => sum + batch.ended.length, 0)
  }

  /** How long the oldest has waited; 0 when none waits. */
  get waitedMs(): number {
    const [oldest] = this.#queued
    return oldest === undefined ? 0 : performance.now() - oldest.addedAt
  }

  add(batch: PendingBatch): void {
    this.#queued.push({ batch, recorder: this.#recorder, wasPosted: false, deaths: 0, addedAt: performance.now() })
  }

  /** What the recorder of now is to be sent next; undefined while it has enough before it. */
  next(): Posting | undefined {
    const one = this.#queued[this.#posted]
    if (one === undefined || (this.#posted > 0 && this.#endingsUnderWay >= endingsUnderWayMax)) return undefined
    const batch = packed(one.batch, { isAnew: one.recorder !== this.#recorder, withBodies: one.deaths < deathsWithBodiesMax })
    const isResent = one.wasPosted
    one.wasPosted = true
    this.#posted++
    this.#endingsUnderWay += one.batch.ended.length
    return { batch, isResent }
  }

  /** The recorder has recorded the oldest one; undefined when it had none. */
  acknowledge(): PendingBatch | undefined {
    if (this.#posted === 0) return undefined
    this.#posted--
    const { batch } = this.#queued.shift() as Queued
    this.#endingsUnderWay -= batch.ended.length
    return batch
  }

  /**
   * The recorder has died, its successor has had nothing. What was open leaves the queue: that is told to the successor from the list of what is
   * open now, since an opening told twice could open a row that has been closed.
   */
  recorderDied(): { readonly givenUp: PendingBatch | undefined; readonly outdated: readonly PendingBatch[] } {
    const first = this.#posted > 0 ? this.#queued[0] : undefined
    this.#posted = 0
    this.#endingsUnderWay = 0
    this.#recorder++
    const isGivenUp = first !== undefined && ++first.deaths >= deathsMax
    if (isGivenUp) this.#queued.shift()
    const outdated = this.#queued.map(({ batch }) => ({ ...batch, ended: [] }))
    for (const one of this.#queued) one.batch = { opened: [], requests: [], ended: one.batch.ended }
    this.#queued = this.#queued.filter(({ batch }) => batch.ended.length > 0)
    return { givenUp: isGivenUp ? first.batch : undefined, outdated }
  }
}
