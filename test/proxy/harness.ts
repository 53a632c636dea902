/** The proxy path alone, between real sockets: a raw upstream, the real listener and forwarder, and an observer that writes down what it is told. */
import net from 'node:net'
import { onTestFinished } from 'vitest'
import type { ListenTls } from '../../src/config/certificates.ts'
import type { Address, Route } from '../../src/config/config.ts'
import { createClock } from '../../src/lib/clock.ts'
import type { Opening, Outcome } from '../../src/lib/exchange.ts'
import { createIds } from '../../src/lib/ids.ts'
import { cellCount } from '../../src/lib/shared-counters.ts'
import { BodyBudget } from '../../src/proxy/body.ts'
import { type Certificates, watchCertificates } from '../../src/proxy/certificates.ts'
import { createLack } from '../../src/proxy/descriptors.ts'
import type { Editor } from '../../src/proxy/edit.ts'
import type { ForwardOptions } from '../../src/proxy/forward.ts'
import { createForwarder } from '../../src/proxy/forwarder.ts'
import { createHealth } from '../../src/proxy/health.ts'
import { listen } from '../../src/proxy/listener.ts'
import type { Observer, ResponseHead } from '../../src/proxy/observer.ts'
import type { Callers } from '../../src/proxy/opening.ts'
import { Places } from '../../src/proxy/places.ts'
import type { SilenceLimits } from '../../src/proxy/silence.ts'
import { createUpstream, type Upstream } from '../../src/proxy/upstream.ts'

export interface Seen {
  readonly opening: Opening
  requestBytes: string
  head: ResponseHead | undefined
  responseBytes: string
  notes: string[]
  callers: string[]
  ends: { outcome: Outcome; status: number | undefined }[]
}

export interface ProxyOptions {
  readonly route?: Partial<Route>
  readonly editor?: Editor
  readonly tellsId?: boolean
  readonly drain?: { readonly msMax: number; readonly bytesMax: number }
  readonly callers?: Callers | undefined
  readonly headMs?: number
  readonly idleMs?: number
  readonly connectMs?: number
  readonly heldBytes?: number
  readonly silence?: Partial<SilenceLimits>
  readonly placesMax?: number
  readonly tls?: ListenTls
  /** Towards the upstream. */
  readonly certificates?: Certificates
  readonly address?: Address
  readonly observe?: (opening: Opening, record: (opening: Opening) => Observer) => Observer
}

export async function startProxy(upstreamUrl: string, options: ProxyOptions = {}) {
  const seen: Seen[] = []
  const record = (opening: Opening): Observer => {
    const mine: Seen = { opening, requestBytes: '', head: undefined, responseBytes: '', notes: [], callers: [], ends: [] }
    seen.push(mine)
    return {
      requestData: (chunk) => void (mine.requestBytes += Buffer.from(chunk).toString('latin1')),
      requestEnd: () => undefined,
      requestAgain: () => void (mine.requestBytes = ''),
      clientGone: () => void mine.notes.push('client gone'),
      note: (text) => void mine.notes.push(text),
      caller: (name) => void mine.callers.push(String(name)),
      responseStart: (head) => void (mine.head = head),
      responseData: (chunk) => void (mine.responseBytes += Buffer.from(chunk).toString('latin1')),
      end: (outcome, status) => void mine.ends.push({ outcome, status }),
    }
  }
  const cells = new Int32Array(new SharedArrayBuffer(cellCount * 4))
  const bodies = new BodyBudget(options.heldBytes ?? 64 << 20)
  const clock = createClock()
  const upstreams = new Map<string, Upstream>()
  const routes: readonly Route[] = [
    {
      name: 'default',
      prefix: '/',
      stripPrefix: false,
      upstream: new URL(upstreamUrl),
      provider: undefined,
      host: 'upstream',
      disconnect: 'cancel',
      trace: 'child',
      ...options.route,
    },
  ]
  const reports: string[] = []
  const report = (sentence: string) => void reports.push(sentence)
  const lacking = createLack(cells, report)
  const health = createHealth({ now: Date.now, connectBuckets: [] })
  health.use([new URL(upstreamUrl).origin])
  const forwardOptions: ForwardOptions = {
    editor: options.editor,
    tellsId: options.tellsId,
    drain: options.drain ?? { msMax: 60_000, bytesMax: 1 << 20 },
    callers: options.callers,
    bodies,
    silence: { bodyMs: 0, readMs: 0, ...options.silence },
    upstreamOf: (_route, origin) => {
      const { connectMs = 60_000, headMs = 60_000, idleMs = 60_000 } = options
      const { certificates } = options
      const made = upstreams.get(origin) ?? createUpstream(origin, { connectMs, headMs, idleMs, headerBytes: 65536, certificates })
      upstreams.set(origin, made)
      return made
    },
    observe: (opening) => (options.observe === undefined ? record(opening) : options.observe(opening, record)),
    healthOf: health.of,
    clock,
    ids: createIds(),
    cells,
    lacking,
    observedHeaders: new Set(['content-type']),
  }
  const forwarder = createForwarder(routes, forwardOptions)
  const use = (more: Partial<ForwardOptions>) => forwarder.use(routes, { ...forwardOptions, ...more })
  const places = new Places({ max: options.placesMax, openCount: forwarder.openCount, lacking })
  const tls = options.tls && {
    settings: options.tls,
    certificates: watchCertificates({ files: { ...options.tls, ca: options.tls.clientCa }, cells, report, everyMs: 50 }),
    report,
  }
  const listener = await listen({
    address: options.address ?? { host: '127.0.0.1', port: 0 },
    tls,
    forwarder,
    cells,
    headerBytesMax: 16384,
    places,
  })
  onTestFinished(async () => {
    listener.destroyConnections()
    await listener.close()
    for (const upstream of upstreams.values()) upstream.destroy()
  })
  const ended = async (count = 1): Promise<Seen> => {
    await until(() => seen.length >= count && seen.slice(0, count).every((one) => one.ends.length > 0))
    return seen[count - 1] as Seen
  }
  return { port: listener.port, seen, ended, forwarder, use, health, cells, listener, bodies, reports }
}

/** A TCP server that hands each connection's bytes to the test. */
export async function rawUpstream(
  onData: (text: string, socket: net.Socket, all: string) => void,
): Promise<{ url: string; port: number; connections: net.Socket[] }> {
  const connections: net.Socket[] = []
  const server = net.createServer((socket) => {
    connections.push(socket)
    let all = ''
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      all += data.toString('latin1')
      onData(data.toString('latin1'), socket, all)
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(async () => {
    for (const socket of connections) socket.destroy()
    await new Promise((done) => server.close(done))
  })
  const port = (server.address() as net.AddressInfo).port
  return { url: `http://127.0.0.1:${port}`, port, connections }
}

export interface RawClient {
  readonly socket: net.Socket
  received(): string
  /** Resolves with everything received once `test` holds for it, or once the connection is closed. */
  until(test: (received: string) => boolean): Promise<string>
  closed(): Promise<string>
}

export function rawClient(port: number, text?: string): RawClient {
  const socket = net.connect(port, '127.0.0.1')
  let received = ''
  let isClosed = false
  socket.on('data', (data) => {
    received += data.toString('latin1')
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    isClosed = true
  })
  if (text !== undefined) socket.write(Buffer.from(text, 'latin1'))
  onTestFinished(() => void socket.destroy())
  return {
    socket,
    received: () => received,
    async until(test) {
      await until(() => isClosed || test(received))
      return received
    },
    async closed() {
      await until(() => isClosed)
      return received
    },
  }
}

const untilMsMax = 60_000

/** Waits until `condition` holds; a test that waits in vain fails after a minute. */
export async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + untilMsMax
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited in vain for: ${condition}`)
    await new Promise((done) => setTimeout(done, 2))
  }
}

/** Head and body of a raw HTTP message. */
export function split(message: string): { readonly head: string; readonly body: string } {
  const at = message.indexOf('\r\n\r\n')
  return { head: message.slice(0, at), body: message.slice(at + 4) }
}

/** The body of a message in chunks, as far as it has come: where its chunks were cut is nobody's business. */
export function unchunked(message: string): string {
  let rest = message
  let body = ''
  for (;;) {
    const line = rest.indexOf('\r\n')
    const size = Number.parseInt(rest.slice(0, line), 16)
    if (line < 0 || !(size > 0)) return body
    body += rest.slice(line + 2, line + 2 + size)
    rest = rest.slice(line + 2 + size + 2)
  }
}
