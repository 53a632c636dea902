/** The load client over HTTP/2: what is a connection elsewhere is one stream after the other here, of sessions that carry many. */
import http2 from 'node:http2'
import { monotonicNs } from '../fixture.ts'
import type { Connection, Tally } from './connection.ts'

/** As many as Go's client puts on one connection of Go's server; tokenweir and nginx allow no fewer, or are told so. */
const streamsPerSession = 100

interface Session {
  readonly session: http2.ClientHttp2Session
  streams: number
}

const sessions = new Map<number, Session[]>()

function sessionFor(port: number): Session {
  const known = sessions.get(port) ?? []
  sessions.set(port, known)
  const free = known.find(({ session, streams }) => !session.destroyed && !session.closed && streams < streamsPerSession)
  if (free !== undefined) return free
  const made = { session: http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false }), streams: 0 }
  made.session.on('error', () => undefined) // its streams tell
  known.push(made)
  return made
}

interface Asked {
  readonly headers: http2.OutgoingHttpHeaders
  readonly body: Buffer
}

const asked = new WeakMap<Buffer, Asked>()

/** A request of HTTP/1.1 as one of HTTP/2. */
function askedIn(request: Buffer): Asked {
  const known = asked.get(request)
  if (known !== undefined) return known
  const end = request.indexOf('\r\n\r\n')
  const [line = '', ...fields] = request.toString('latin1', 0, end).split('\r\n')
  const [method, path] = line.split(' ')
  const headers: http2.OutgoingHttpHeaders = { ':method': method, ':path': path }
  for (const field of fields) {
    const [name = '', value = ''] = field.split(/: */)
    if (!/^(host|connection)$/i.test(name)) headers[name.toLowerCase()] = value
  }
  const made = { headers, body: request.subarray(end + 4) }
  asked.set(request, made)
  return made
}

export function openStream(
  port: number,
  tally: Tally,
  onLost: () => void,
  onHead?: (status: number, contentType: string) => void,
): Connection {
  const mine = sessionFor(port)
  mine.streams += 1
  let closed = false
  let running: http2.ClientHttp2Stream | undefined
  const close = () => {
    if (closed) return
    closed = true
    mine.streams -= 1
    running?.close(http2.constants.NGHTTP2_CANCEL)
  }
  const lose = (reason: string) => {
    if (closed) return
    close()
    tally.fail(reason)
    onLost()
  }
  return {
    send(request, exchange) {
      tally.requests += 1
      const { headers, body } = askedIn(request)
      const stream = mine.session.request(headers, { endStream: body.length === 0 })
      running = stream
      stream.on('response', (got) => {
        if (got[':status'] !== 200) lose(`status ${got[':status']}`)
        else onHead?.(200, String(got['content-type'] ?? ''))
      })
      stream.on('data', (slice: Buffer) => {
        if (!closed) exchange.body(slice, monotonicNs())
      })
      stream.on('end', () => {
        running = undefined
        if (!closed) exchange.end(monotonicNs())
      })
      stream.on('error', (error) => lose(error.message))
      stream.on('close', () => running === stream && lose('stream closed by the other side'))
      if (body.length > 0) stream.end(body)
    },
    close,
  }
}
