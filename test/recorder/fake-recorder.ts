/** A recorder's thread that records nothing, tells what it was told, and dies as its orders say. Started by `link.test.ts`. */
import { parentPort, type Transferable, workerData } from 'node:worker_threads'
import type { FromRecorder, ToRecorder } from '../../src/recorder/batch.ts'
import { type Told, toldIn } from './told.ts'

export interface Orders {
  /** It answers no batch. */
  readonly isSilent?: boolean
  /** It dies on a batch with this exchange, or on one in which this exchange has a body. */
  readonly diesOn?: string
  readonly diesOnBodyOf?: string
  /** It does not start. */
  readonly refuses?: string
}

const orders = workerData as Orders
const port = parentPort as NonNullable<typeof parentPort>
const tell = (message: FromRecorder | { readonly kind: 'told'; readonly told: Told }) => port.postMessage(message, [] as Transferable[])

if (orders.refuses === undefined) tell({ kind: 'ready' })
else tell({ kind: 'problem', message: orders.refuses, fatal: true })

port.on('message', (message: ToRecorder) => {
  if (message.kind === 'close') {
    tell({ kind: 'closed', lost: 0 })
    port.close()
    return
  }
  if (message.kind !== 'batch') return
  const told = toldIn(message)
  tell({ kind: 'told', told })
  const dies = told.ended.some(
    ([id, , request, response]) => id === orders.diesOn || (id === orders.diesOnBodyOf && (request ?? response) !== undefined),
  )
  if (dies) throw new Error('it was ordered to die')
  if (orders.isSilent !== true) tell({ kind: 'recorded', ended: told.ended.length })
})
