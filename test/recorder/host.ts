/** A process that holds one recorder thread, so that a test can read its standard output and kill it. Started by `harness.ts`. */
import { Worker } from 'node:worker_threads'
import type { ToRecorder } from '../../src/batch.ts'
import type { RecorderData } from '../../src/recorder/data.ts'

export type ToHost =
  | { readonly kind: 'start'; readonly data: Omit<RecorderData, 'gauges'>; readonly gauges: readonly number[] }
  | { readonly kind: 'post'; readonly message: ToRecorder }

let worker: Worker | undefined

process.on('message', (message: ToHost) => {
  if (message.kind === 'post') {
    worker?.postMessage(message.message)
    return
  }
  const gauges = new Int32Array(new SharedArrayBuffer(message.gauges.length * 4))
  gauges.set(message.gauges)
  const workerData: RecorderData = { ...message.data, gauges: gauges.buffer as SharedArrayBuffer }
  worker = new Worker(new URL('../../src/recorder.ts', import.meta.url), { workerData })
  worker.on('message', (answer) => process.send?.(answer))
})
