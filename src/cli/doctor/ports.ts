/** Whether a port can be listened on, or, while the sidecar runs, answers. */
import net from 'node:net'
import type { Address } from '../../config/config.ts'
import { listenError, type Port } from '../../lib/listen-error.ts'
import { type Check, failed, ok } from '../checks.ts'

const patienceMs = 3000

/** Where this machine reaches it. */
export function urlOf({ host, port }: Address): URL {
  const reached = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return new URL(`http://${reached.includes(':') ? `[${reached}]` : reached}:${port}`)
}

export async function examinePort(port: Port, isRunning: boolean): Promise<Check> {
  const name = `${port.name} port`
  const where = `${port.host}:${port.port}`
  if (isRunning) {
    const fault = await connectFault(port)
    return fault === undefined
      ? ok(name, `${where} answers`)
      : failed(
          name,
          `The sidecar runs, and nothing answers at ${where} (${fault}).`,
          `Is that its ${port.flag}? Give doctor the same configuration.`,
        )
  }
  const fault = await bindFault(port)
  return fault === undefined
    ? ok(name, `${where} is free`)
    : failed(name, listenError(port, fault), 'If what holds it is the sidecar, give doctor its --admin address.')
}

function bindFault({ host, port }: Address): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer()
    server.once('error', resolve)
    server.listen(port, host, () => server.close(() => resolve(undefined)))
  })
}

function connectFault(address: Address): Promise<string | undefined> {
  return new Promise((resolve) => {
    const { hostname, port } = urlOf(address)
    const socket = net.connect(Number(port || 80), hostname.replace(/^\[|\]$/g, ''))
    const end = (fault: string | undefined) => {
      socket.destroy()
      resolve(fault)
    }
    socket.once('connect', () => end(undefined))
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
    socket.setTimeout(patienceMs, () => end('no answer'))
  })
}
