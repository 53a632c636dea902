/** Questions to the ledger from a thread that must not wait: they are answered one after the other on a thread of their own. */
import type { Worker } from 'node:worker_threads'
import { startThread } from '../../lib/program.ts'
import { ReadingError } from './open.ts'
import type { Answers, Question } from './queries.ts'

export interface Asked {
  readonly number: number
  readonly question: Question
}

export type Told =
  | { readonly number: number; readonly answer: Answers[Question['kind']] }
  | { readonly number: number; readonly problem: string }

export interface Reader {
  /** Rejects with `ReadingError`: the ledger cannot be read, or too many questions wait. */
  ask<Kind extends Question['kind']>(question: Extract<Question, { kind: Kind }>): Promise<Answers[Kind]>
  close(): Promise<void>
}

export interface ReaderOptions {
  readonly path: string
  /** Questions that may wait; more are refused. */
  readonly waitingMax?: number
}

/** The thread begins with the first question, so that a sidecar whose page nobody looks at has none. */
export function createReader({ path, waitingMax = 32 }: ReaderOptions): Reader {
  const waiting = new Map<number, { readonly resolve: (answer: never) => void; readonly reject: (error: Error) => void }>()
  let worker: Worker | undefined
  let last = 0

  function rejectAll(message: string): void {
    for (const { reject } of waiting.values()) reject(new ReadingError(message))
    waiting.clear()
  }

  function begin(): Worker {
    const begun = startThread('ledger/queries/worker', { workerData: { path } })
    begun.unref()
    begun.on('message', (told: Told) => {
      const asker = waiting.get(told.number)
      waiting.delete(told.number)
      if ('problem' in told) asker?.reject(new ReadingError(told.problem))
      else asker?.resolve(told.answer as never)
    })
    // The next question begins another.
    begun.on('error', (error) => rejectAll(`Reading the ledger failed (${error instanceof Error ? error.message : String(error)}).`))
    begun.on('exit', () => {
      if (worker === begun) worker = undefined
      rejectAll('Reading the ledger was ended.')
    })
    return begun
  }

  return {
    ask(question) {
      if (waiting.size >= waitingMax)
        return Promise.reject(new ReadingError('Too many questions wait for the ledger. Ask again in a moment.'))
      worker ??= begin()
      const number = ++last
      worker.postMessage({ number, question } satisfies Asked)
      return new Promise((resolve, reject) => waiting.set(number, { resolve: resolve as (answer: never) => void, reject }))
    },
    async close() {
      await worker?.terminate()
    },
  }
}
