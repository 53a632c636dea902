/** A recorder's thread that does only what a test says, when the test says it. For tests with a clock of their own; `fake-recorder.ts` is a real thread. */
import { EventEmitter } from 'node:events'
import type { Transferable, Worker } from 'node:worker_threads'
import type { ToRecorder } from '../../src/recorder/batch.ts'
import { type Told, toldIn } from './told.ts'

export class FakeWorker extends EventEmitter {
  readonly #posted: ToRecorder[] = []
  isTerminated = false
  #isGone = false

  /** As whoever starts threads sees it. */
  get thread(): Worker {
    return this as unknown as Worker
  }

  /** The batches that it was told, in order. */
  get batches(): readonly Told[] {
    return this.#posted.flatMap((message) => (message.kind === 'batch' ? [toldIn(message)] : []))
  }

  /** What it was told, in order and in short: the ids that a batch ends, or the deadline of a close. */
  get told(): readonly string[] {
    return this.#posted.map((message) => {
      if (message.kind === 'admin') return 'admin'
      if (message.kind === 'close') return `close in ${message.deadlineMs}`
      if (message.kind !== 'batch') return message.kind
      const { resent, ended } = toldIn(message)
      return `${ended.map(([id]) => id).join(' ')}${resent ? ' again' : ''}`
    })
  }

  postMessage(message: ToRecorder, transfer: readonly Transferable[] = []): void {
    if (message.kind === 'batch' && !transfer.includes(message.batch.bytes.buffer as ArrayBuffer)) throw new Error('Bodies were copied.')
    this.#posted.push(structuredClone(message, { transfer: [...transfer] as ArrayBuffer[] }))
  }

  async terminate(): Promise<number> {
    this.isTerminated = true
    await Promise.resolve()
    this.exit()
    return 1
  }

  exit(): void {
    if (!this.#isGone) this.emit('exit', 1)
    this.#isGone = true
  }

  fail(message: string): void {
    this.emit('error', new Error(message))
    this.exit()
  }

  ready(): void {
    this.emit('message', { kind: 'ready' })
  }

  problem(message: string, { fatal }: { fatal: boolean }): void {
    this.emit('message', { kind: 'problem', message, fatal })
  }

  /** It has recorded the oldest batch that it has. */
  recorded(): void {
    this.emit('message', { kind: 'recorded', ended: 1 })
  }

  applied(files: readonly string[]): void {
    this.emit('message', { kind: 'applied', files })
  }

  closed(): void {
    this.emit('message', { kind: 'closed', lost: 0 })
  }
}
