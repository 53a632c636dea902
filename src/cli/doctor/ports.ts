/** Whether a port can be listened on, or, while the sidecar runs, answers. */
import net from 'node:net'
import { listenError, type Port } from '../../lib/listen-error.ts'
import { addressUrl } from '../admin-url.ts'
import { type Check, failed, ok } from '../checks.ts'

const patienceMs = 3000

type Place = Pick<Port, 'host' | 'port' | 'unix'>

export async function examinePort(port: Port, isRunning: boolean): Promise<Check> {
  const name = `${port.name} port`
  const where = port.unix?.path ?? `${port.host}:${port.port}`
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

async function bindFault(address: Place): Promise<NodeJS.ErrnoException | undefined> {
  const { host, port, unix } = address
  // The file of a socket may be left from before; it is in use when somebody answers.
  if (unix !== undefined)
    return (await connectFault(address)) === undefined ? Object.assign(new Error('in use'), { code: 'EADDRINUSE' }) : undefined
  return new Promise((resolve) => {
    const server = net.createServer()
    server.once('error', resolve)
    server.listen(port, host, () => server.close(() => resolve(undefined)))
  })
}

function connectFault(address: Place): Promise<string | undefined> {
  return new Promise((resolve) => {
    const { hostname } = addressUrl(address)
    const socket = net.connect(
      address.unix === undefined ? { port: address.port, host: hostname.replace(/^\[|\]$/g, '') } : { path: address.unix.path },
    )
    const end = (fault: string | undefined) => {
      socket.destroy()
      resolve(fault)
    }
    socket.once('connect', () => end(undefined))
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
    socket.setTimeout(patienceMs, () => end('no answer'))
  })
}
