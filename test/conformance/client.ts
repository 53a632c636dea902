/** A client that sends any bytes, and reads strictly what comes back. */
import net from 'node:net'
import tls from 'node:tls'
import { type Message, readResponse, statusOf } from './wire.ts'

export interface Answered {
  /** Final responses, whole. */
  readonly answers: readonly Message[]
  readonly interim: readonly number[]
  /** A response that began and is not whole. */
  readonly partial: Message | undefined
  readonly fault: string | undefined
  /** Bytes behind the last answer. After a 101 they are no fault. */
  readonly rest: string
  /** The other side ended the connection. */
  readonly closed: boolean
}

export interface Talk {
  readonly port: number
  /** Over TLS. */
  readonly isSecure?: boolean
  /** Sent one after the other; a number is a pause in milliseconds. */
  readonly parts: readonly (string | number)[]
  /** Ends its own side behind the last byte. */
  readonly halfClose?: boolean
  /** Sent on the same connection `settleMs` after `isDone`, once. */
  readonly next?: string
  /** Nothing more is expected. */
  readonly isDone: (answered: Answered) => boolean
  /** How long to wait for something that does not come, and for something that should not. */
  readonly quietMs: number
  readonly settleMs: number
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

export function answeredIn(text: string, methods: readonly string[], closed: boolean): Answered {
  const answers: Message[] = []
  const interim: number[] = []
  let at = 0
  const result = (more: Partial<Answered>) => ({
    answers,
    interim,
    partial: undefined,
    fault: undefined,
    rest: text.slice(at),
    closed,
    ...more,
  })
  while (at < text.length) {
    const found = readResponse(text, at, methods[answers.length] ?? methods.at(-1) ?? 'GET', closed)
    if (found.is === 'fault') return result({ fault: found.fault })
    if (found.is === 'incomplete') return result({ partial: found.head })
    const { message } = found
    at = message.end
    const status = statusOf(message)
    if (status < 200 && status !== 101) interim.push(status)
    else answers.push(message)
    if (status === 101) break
  }
  return result({})
}

/** The methods of the requests in what is sent, as far as they can be told; only HEAD matters. */
const methodsIn = (parts: Talk['parts']) => [...parts.join('').matchAll(/^(\w+) \S+ HTTP\//gm)].map(([, method]) => method as string)

export async function talk({ port, isSecure = false, parts, halfClose, next, isDone, quietMs, settleMs }: Talk): Promise<Answered> {
  const at = { port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true }
  const socket = isSecure ? tls.connect({ ...at, rejectUnauthorized: false }) : net.connect(at)
  const methods = methodsIn(next === undefined ? parts : [...parts, next])
  let text = ''
  let closed = false
  let sent = false
  let nextSent = next === undefined
  let lastAt = performance.now()
  const touch = () => {
    lastAt = performance.now()
  }
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
    touch()
  })
  for (const event of ['end', 'close', 'error']) socket.on(event, () => void (closed = true))
  void (async () => {
    for (const part of parts) {
      if (typeof part === 'number') await pause(part)
      else socket.write(part, 'latin1')
      touch()
    }
    if (halfClose) socket.end()
    sent = true
  })()
  let answered = answeredIn('', methods, false)
  let read = 0
  for (;;) {
    await pause(5)
    if (!sent && !closed) continue
    if (text.length > read || closed) {
      read = text.length
      answered = answeredIn(text, methods, closed)
    }
    const isOver = performance.now() - lastAt > (isDone(answered) ? settleMs : quietMs)
    if (!nextSent && next !== undefined && isOver && !closed) {
      socket.write(next, 'latin1')
      nextSent = true
      touch()
    } else if (closed || answered.fault !== undefined || isOver) {
      socket.destroy()
      return answered
    }
  }
}
