/** A process that holds one recorder thread, so that a test can read its standard output and kill it. Started by `harness.ts`. */
import { Worker } from 'node:worker_threads'
import type { ToRecorder } from '../../src/recorder/batch.ts'
import type { RecorderData } from '../../src/recorder/data.ts'

export type ToHost =
  | { readonly kind: 'start'; readonly data: Omit<RecorderData, 'cells'>; readonly cells: readonly number[] }
  | { readonly kind: 'post'; readonly message: ToRecorder }

let worker: Worker | undefined

process.on('message', (message: ToHost) => {
  if (message.kind === 'post') {
    worker?.postMessage(message.message)
    return
  }
  const cells = new Int32Array(new SharedArrayBuffer(message.cells.length * 4))
  cells.set(message.cells)
  const workerData: RecorderData = { ...message.data, cells: cells.buffer as SharedArrayBuffer }
  worker = new Worker(new URL('../../src/recorder/recorder.ts', import.meta.url), { workerData })
  worker.on('message', (answer) => process.send?.(answer))
})
