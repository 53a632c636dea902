/** The observer of one exchange, behind a guard: whatever it throws, the bytes go on, and its `end` is still called, once. */

import type { Outcome } from '../lib/exchange.ts'
import { Cell } from '../lib/shared-counters.ts'
import type { Observer } from './observer.ts'

export class GuardedObserver {
  readonly #observer: Observer | undefined
  readonly #cells: Int32Array
  /** It threw, and is told nothing more but the end. */
  #failed = false
  #ended = false

  constructor(open: () => Observer, cells: Int32Array) {
    this.#cells = cells
    try {
      this.#observer = open()
    } catch {
      this.#threw()
    }
  }

  /** After the end, nothing is told. */
  tell(call: (observer: Observer) => void): void {
    if (this.#observer === undefined || this.#failed || this.#ended) return
    try {
      call(this.#observer)
    } catch {
      this.#threw()
    }
  }

  /** As `tell`, without a closure for each chunk. */
  responseData(bytes: Buffer, receivedAt: number): void {
    if (this.#observer === undefined || this.#failed || this.#ended) return
    try {
      this.#observer.responseData(bytes, receivedAt)
    } catch {
      this.#threw()
    }
  }

  end(outcome: Outcome, statusSent: number | undefined): void {
    if (this.#ended) return
    this.#ended = true
    try {
      this.#observer?.end(outcome, statusSent)
    } catch {
      this.#threw()
    }
  }

  #threw(): void {
    this.#failed = true
    Atomics.add(this.#cells, Cell.observerFailed, 1)
  }
}
