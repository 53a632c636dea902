/** The upstream that decides: it reads strictly, keeps what it read, and answers with what it has seen, or with the hostile answer asked for. */

import type { AddressInfo } from 'node:net'
import net, { type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { HostileAnswer } from './answers.ts'
import { fieldsNamed, type Message, readRequest } from './wire.ts'

export interface Seen {
  /** `METHOD TARGET BODY`. */
  readonly summary: string
  readonly request: Message
}

export interface RawUpstream {
  readonly port: number
  /** Whole requests, of all connections, in the order in which they came. */
  readonly seen: readonly Seen[]
  /** What could be read in two ways, or was no HTTP at all. */
  readonly faults: readonly string[]
  stop(): void
}

const shownMax = 40

export function summaryOf({ start, body }: Message): string {
  const [method, target = ''] = start.split(' ')
  const shown = target.length > shownMax ? `(${target.length} characters)` : target
  if (body === '') return `${method} ${shown}`
  return `${method} ${shown} ${body.length > shownMax ? `(${body.length} bytes)` : body}`
}

export function echoOf(summary: string, method: string): string {
  const body = JSON.stringify({ saw: summary })
  return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${method === 'HEAD' ? '' : body}`
}

/** `GET /answer/12` asks for the twelfth of the hostile answers. */
const answerAt = ({ start }: Message) => /^\w+ \/answer\/(\d+) /.exec(start)?.[1]

export async function startRawUpstream(answers: readonly HostileAnswer[] = []): Promise<RawUpstream> {
  const seen: Seen[] = []
  const faults: string[] = []
  const sockets = new Set<Socket>()
  const hostileFor = (request: Message) => answers[Number(answerAt(request) ?? Number.NaN)]

  function serve(socket: Socket): void {
    let text = ''
    let at = 0
    let answered = -1
    const take = () => {
      for (;;) {
        const found = readRequest(text, at)
        if (found.is === 'fault') {
          faults.push(found.fault)
          socket.destroy()
          return
        }
        const request = found.is === 'message' ? found.message : found.head
        const hostile = request === undefined ? undefined : hostileFor(request)
        if (hostile !== undefined && answered < at && (found.is === 'message' || hostile.early)) {
          answered = at
          void send(socket, hostile)
        }
        if (found.is === 'incomplete') return
        const { message } = found
        const summary = summaryOf(message)
        seen.push({ summary, request: message })
        at = message.end
        if (hostile === undefined) socket.write(echoOf(summary, message.start.split(' ')[0] ?? ''), 'latin1')
        if (fieldsNamed(message, 'upgrade').length > 0 && hostile !== undefined) return // what follows is not HTTP
      }
    }
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      take()
    })
  }

  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    socket.on('end', () => socket.end())
    serve(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    faults,
    stop() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

async function send(socket: Socket, { bytes, ending = 'open' }: HostileAnswer): Promise<void> {
  for (const part of typeof bytes === 'string' ? [bytes] : bytes) {
    if (typeof part === 'number') await setTimeout(part)
    else if (socket.writable) socket.write(part, 'latin1')
    else return
  }
  if (ending === 'close') socket.end()
  if (ending === 'reset') {
    await setTimeout(20) // what was written has gone
    socket.resetAndDestroy()
  }
}
