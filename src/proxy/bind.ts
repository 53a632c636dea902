/** Binds a server to its address: a port, or the file of a Unix socket. */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import net from 'node:net'
import type { Address } from '../config/config.ts'

/** Connections that the system may hold ready for us; Node's 511 overflows when thousands of clients come at once. */
const backlogMax = 4096

/** Resolves with the port really bound: of use when 0 was asked for. */
export async function bind(server: net.Server, address: Address): Promise<number> {
  const { host, port, unix } = address
  if (unix === undefined) await listening(server, { host, port })
  else await bindSocketFile(server, unix)
  const bound = server.address()
  return typeof bound === 'object' && bound !== null ? bound.port : port
}

/** A file that a killed process left behind is removed, once nobody answers on it. */
async function bindSocketFile(server: net.Server, { path, mode }: NonNullable<Address['unix']>): Promise<void> {
  try {
    await listening(server, { path })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || !(await isAbandoned(path))) throw error
    unlinkSync(path)
    await listening(server, { path })
  }
  chmodSync(path, mode)
}

function listening(server: net.Server, at: net.ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ ...at, backlog: backlogMax }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

async function isAbandoned(path: string): Promise<boolean> {
  if (!lstatSync(path).isSocket()) return false
  const socket = net.connect(path)
  return new Promise((resolve) => {
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'))
  })
}
