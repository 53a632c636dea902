/** Why a port could not be opened, as a sentence that says what to do, and on Linux which process holds it. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'

export interface Port {
  /** `proxy` or `admin`. */
  readonly name: string
  /** The option that chooses another. */
  readonly flag: string
  readonly host: string
  readonly port: number
  /** In place of them. */
  readonly unix?: { readonly path: string } | undefined
}

export function listenError({ name, flag, host, port, unix }: Port, error: NodeJS.ErrnoException): string {
  if (unix !== undefined) {
    return error.code === 'EADDRINUSE'
      ? `The socket ${unix.path} is in use: a process answers on it. Stop it, or choose another path with ${flag}.`
      : `The socket ${unix.path} cannot be made (${error.message}). Choose another path with ${flag}.`
  }
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const other = `${flag} HOST:PORT`
  switch (error.code) {
    case 'EADDRINUSE': {
      const holder = portHolder(port)
      return holder === undefined
        ? `The ${name} port ${where} is in use. Stop what listens there, or choose another with ${other}.`
        : `The ${name} port ${where} is in use by ${holder}. Stop it, or choose another port with ${other}.`
    }
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `The ${name} address ${where} is not one of this machine. Choose another with ${other}.`
    case 'EACCES':
      return `This user may not listen on the ${name} port ${where}. Choose one above 1023 with ${other}.`
    default:
      return `The ${name} port ${where} cannot be opened (${error.message}). Choose another with ${other}.`
  }
}

/** `node tokenweir.js (process 123)`. Undefined where it cannot be told: not on Linux, or a process of another user. */
export function portHolder(port: number): string | undefined {
  try {
    const sockets = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => listeningOn(port, path)))
    if (sockets.size === 0) return undefined
    const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
    const holder = processes.find((id) => openFiles(id).some((target) => sockets.has(target)))
    return holder === undefined ? undefined : `${programOf(holder)} (process ${holder})`
  } catch {
    return undefined
  }
}

const listening = '0A'

/** Names of the sockets as `/proc/PID/fd` has them. Columns: proc_net_tcp in the kernel's documentation. */
function listeningOn(port: number, path: string): string[] {
  const ending = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(ending) === true && state === listening)
    .map((fields) => `socket:[${fields[9]}]`)
}

function openFiles(id: string): string[] {
  try {
    return readdirSync(`/proc/${id}/fd`).map((file) => {
      try {
        return readlinkSync(`/proc/${id}/fd/${file}`)
      } catch {
        return '' // closed meanwhile
      }
    })
  } catch {
    return [] // another user's, or gone
  }
}

/** The program and, for an interpreter, its script. Other arguments may be secrets. */
function programOf(id: string): string {
  const [program = '', script = ''] = readFileSync(`/proc/${id}/cmdline`, 'utf8').split('\0')
  const isScript = /^(node|python|ruby|deno|bun)/.test(basename(program)) && script !== '' && !script.startsWith('-')
  return isScript ? `${basename(program)} ${basename(script)}` : basename(program)
}
