/** A process that holds one recorder thread, so that a test can read its standard output and kill it. Started by `harness.ts`. */
import { MessageChannel, Worker } from 'node:worker_threads'
import { startFront } from '../../src/admin/front.ts'
import type { FromRecorder, ToRecorder } from '../../src/recorder/batch.ts'
import type { RecorderData } from '../../src/recorder/data.ts'

export type ToHost =
  | { readonly kind: 'start'; readonly data: Omit<RecorderData, 'cells'>; readonly cells: readonly number[] }
  | { readonly kind: 'post'; readonly message: ToRecorder }

/** The admin port listens. */
export type FromHost = FromRecorder | { readonly kind: 'listening'; readonly adminPort: number }

let worker: Worker | undefined

process.on('message', (message: ToHost) => {
  if (message.kind === 'post') {
    worker?.postMessage(message.message)
    return
  }
  const cells = new Int32Array(new SharedArrayBuffer(message.cells.length * 4))
  cells.set(message.cells)
  const workerData: RecorderData = { ...message.data, cells: cells.buffer as SharedArrayBuffer }
  const started = new Worker(new URL('../../src/recorder/recorder.ts', import.meta.url), { workerData })
  worker = started
  started.on('message', (answer: FromRecorder) => {
    process.send?.(answer)
    if (answer.kind === 'problem' && !answer.fatal) process.stderr.write(`tokenweir: ${answer.message}\n`)
    if (answer.kind === 'ready') void listen(started)
  })
})

async function listen(recorder: Worker): Promise<void> {
  const { port } = await startFront({
    address: { host: '127.0.0.1', port: 0 },
    unready: () => undefined,
    records: () => ({ instance: undefined, problems: [] }),
    connect(peer) {
      const { port1, port2 } = new MessageChannel()
      recorder.postMessage({ kind: 'admin', port: port2, peer } satisfies ToRecorder, [port2])
      return port1
    },
    report: (line) => process.stderr.write(`${line}\n`),
  })
  process.send?.({ kind: 'listening', adminPort: port } satisfies FromHost)
}
