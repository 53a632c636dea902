/** Reaches into the recorder's thread of a running product through Node's own inspector: no way to die is built into the product. */

import { until } from './settings.ts'
import type { Sidecar } from './sidecar.ts'

/** What the sidecar is started with. */
export const inspectorEnv = { NODE_OPTIONS: '--inspect=127.0.0.1:0' }

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: { readonly sessionId?: string; readonly workerInfo?: { readonly url: string } }
}

/** Runs JavaScript in the recorder's thread that is there now. */
export async function inRecorder(sidecar: Pick<Sidecar, 'stderr'>, expression: string): Promise<void> {
  const found = () => [...sidecar.stderr().matchAll(/Debugger listening on (ws:\S+)/g)].at(-1)?.[1]
  const socket = new WebSocket((await until('an inspector', found, (address) => address !== undefined)) as string)
  try {
    await new Promise((resolve, reject) => {
      socket.onopen = resolve
      socket.onerror = () => reject(new Error('The inspector refuses.'))
    })
    const session = new Promise<string>((resolve) => {
      socket.onmessage = ({ data }) => {
        const { method, params } = JSON.parse(String(data)) as Message
        const isRecorder = /recorder\.[jt]s$/.test(params?.workerInfo?.url ?? '')
        if (method === 'NodeWorker.attachedToWorker' && isRecorder && params?.sessionId !== undefined) resolve(params.sessionId)
      }
    })
    socket.send(JSON.stringify({ id: 1, method: 'NodeWorker.enable', params: { waitForDebuggerOnStart: false } }))
    const message = JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } })
    const sessionId = await session
    const sent = new Promise((resolve) => {
      socket.onmessage = ({ data }) => {
        const { id, method } = JSON.parse(String(data)) as Message
        if (id === 2 || method === 'NodeWorker.detachedFromWorker') resolve(undefined)
      }
    })
    socket.send(JSON.stringify({ id: 2, method: 'NodeWorker.sendMessageToWorker', params: { sessionId, message } }))
    await sent
  } finally {
    socket.close()
  }
}
