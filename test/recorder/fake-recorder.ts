/** A recorder's thread that records nothing, tells what it was told, and dies as its orders say. Started by `link.test.ts`. */
import { parentPort, type Transferable, workerData } from 'node:worker_threads'
import type { FromRecorder, ToRecorder } from '../../src/recorder/batch.ts'

export interface Orders {
  /** It answers no batch. */
  readonly isSilent?: boolean
  /** It dies on a batch with this exchange, or on one in which this exchange has a body. */
  readonly diesOn?: string
  readonly diesOnBodyOf?: string
  /** It does not start. */
  readonly refuses?: string
}

/** One batch, as it was told. */
export interface Told {
  readonly resent: boolean
  readonly opened: readonly string[]
  /** Id and text. */
  readonly requests: readonly (readonly [string, string])[]
  /** Id, whether its opening came along, texts of its bodies. */
  readonly ended: readonly (readonly [string, boolean, string | undefined, string | undefined])[]
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
  if (message.kind === 'admin') return
  const { opened, requests, ended, bytes } = message.batch
  const text = (slice: readonly [number, number] | undefined) =>
    slice === undefined ? undefined : Buffer.from(bytes.subarray(slice[0], slice[0] + slice[1])).toString()
  const told: Told = {
    resent: message.resent === true,
    opened: opened.map(({ id }) => id),
    requests: requests.map(({ id, body }) => [id, text(body) ?? '']),
    ended: ended.map((one) => [one.ending.id, one.opening !== undefined, text(one.requestBody), text(one.responseBody)]),
  }
  tell({ kind: 'told', told })
  const dies = told.ended.some(
    ([id, , request, response]) => id === orders.diesOn || (id === orders.diesOnBodyOf && (request ?? response) !== undefined),
  )
  if (dies) throw new Error('it was ordered to die')
  if (orders.isSilent !== true) tell({ kind: 'recorded', ended: ended.length })
})
