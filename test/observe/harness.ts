/**
 * The proxy with its real observation, between real sockets, in one process: what an upstream sends crosses forwarder and observer, and the
 * concluded exchange comes out. Only the recorder's thread and sinks are left out. Also for the fuzzer, so it needs no test runner.
 */
import { randomBytes } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { conclude, type RequestReading, readRequest } from '../../src/conclude/conclude.ts'
import { createAttributor } from '../../src/conclude/providers/attribution.ts'
import { createClock } from '../../src/lib/clock.ts'
import type { Exchange, Opening } from '../../src/lib/exchange.ts'
import { createIds } from '../../src/lib/ids.ts'
import { cellCount } from '../../src/lib/shared-counters.ts'
import { CopyBudget } from '../../src/observe/collected.ts'
import { createObserve } from '../../src/observe/observe.ts'
import { BodyBudget } from '../../src/proxy/body.ts'
import { createForwarder } from '../../src/proxy/forwarder.ts'
import { createHealth } from '../../src/proxy/health.ts'
import { createCapabilities } from '../../src/proxy/inject/capabilities.ts'
import { createUsageInjector } from '../../src/proxy/inject/editor.ts'
import { listen } from '../../src/proxy/listener.ts'
import { Places } from '../../src/proxy/places.ts'
import { createUpstream, type Upstream } from '../../src/proxy/upstream.ts'

const attributor = createAttributor()

export interface Play {
  readonly method: string
  readonly path: string
  readonly requestHeaders: Readonly<Record<string, string>>
  readonly requestBody: Buffer
  readonly status: number
  readonly responseHeaders: Readonly<Record<string, string>>
  /** The answer's body, in the pieces in which the upstream writes it; each reaches the proxy by itself when there are few. */
  readonly pieces: readonly Buffer[]
}

export interface Played {
  readonly status: number | undefined
  /** The body as the client got it. */
  readonly received: Buffer
  /** The request body as the upstream got it. */
  readonly arrived: Buffer
  readonly exchange: Exchange
}

export interface ObservedProxy {
  play(play: Play): Promise<Played>
  /** Exchanges that ended, whoever asked for them. */
  count(): number
  close(): Promise<void>
}

export interface ObservedProxyOptions {
  readonly capture?: 'observe' | 'inject'
  readonly bodyBytesMax?: number
  readonly messageBytesMax?: number
}

export async function startObservedProxy(options: ObservedProxyOptions = {}): Promise<ObservedProxy> {
  const { bodyBytesMax = 64 * 1024 * 1024, messageBytesMax = 4 * 1024 * 1024 } = options
  const plays = new Map<string, { readonly play: Play; arrived: Buffer }>()
  const concluded = new Map<string, Exchange>()
  const waiting = new Map<string, (exchange: Exchange) => void>()
  let count = 0

  const origin = await startUpstream((key) => plays.get(key))
  const finish = (opening: Opening, exchange: Exchange) => {
    count++
    const told = waiting.get(opening.traceId)
    if (told === undefined) concluded.set(opening.traceId, exchange)
    else told(exchange)
  }
  const observe = createObserve({
    records: {
      opened(opening) {
        let reading: RequestReading | undefined
        return {
          requestRead: (body) => void (reading = readRequest(opening, Buffer.concat(body))),
          ended(ending, body) {
            const bytes = body === undefined ? undefined : Buffer.concat(body)
            finish(opening, conclude(opening, ending, reading, bytes, { bodyBytes: bodyBytesMax }))
          },
        }
      },
    },
    clock: createClock(),
    cells: new Int32Array(new SharedArrayBuffer(cellCount * 4)),
    overheadBucketsMicros: [100, 1000],
    estimates: false,
    observedHeaders: new Set(attributor.responseHeaders),
    bodyBytesMax,
    copies: new CopyBudget(1 << 28),
    messageBytesMax,
  })
  const upstreams = new Map<string, Upstream>()
  const clock = createClock()
  const cells = new Int32Array(new SharedArrayBuffer(cellCount * 4))
  const names = { name: 'default', prefix: '/', provider: undefined } as const
  const forwarder = createForwarder(
    [{ ...names, stripPrefix: false, upstream: new URL(origin.url), host: 'upstream', disconnect: 'cancel', trace: 'child' }],
    {
      editor: options.capture === 'inject' ? createUsageInjector(createCapabilities(clock.now)) : undefined,
      upstreamOf(_route, of) {
        const timeouts = { connectMs: 5000, headMs: 20_000, idleMs: 20_000, headerBytes: 65_536 }
        const made = upstreams.get(of) ?? createUpstream(of, timeouts)
        upstreams.set(of, made)
        return made
      },
      observe,
      healthOf: createHealth({ now: Date.now, connectBuckets: [] }).of,
      bodies: new BodyBudget(64 << 20),
      silence: { bodyMs: 0, readMs: 0 },
      drain: { msMax: 5000, bytesMax: 1024 * 1024 },
      clock,
      ids: createIds(),
      cells,
      lacking: () => undefined,
      observedHeaders: new Set(attributor.requestHeaders),
    },
  )
  const listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    forwarder,
    cells,
    places: new Places({ max: undefined, openCount: forwarder.openCount, lacking: () => undefined }),
    headerBytesMax: 65_536,
  })
  const agent = new http.Agent({ keepAlive: true })

  return {
    count: () => count,
    async play(play) {
      const traceId = randomBytes(16).toString('hex')
      const mine = { play, arrived: Buffer.alloc(0) }
      plays.set(traceId, mine)
      const answer = await ask(listener.port, agent, play, traceId)
      const exchange = await new Promise<Exchange>((resolve) => {
        const known = concluded.get(traceId)
        if (known === undefined) waiting.set(traceId, resolve)
        else resolve(known)
      })
      for (const one of [plays, concluded, waiting]) one.delete(traceId)
      return { ...answer, arrived: mine.arrived, exchange }
    },
    async close() {
      agent.destroy()
      listener.destroyConnections()
      await listener.close()
      for (const upstream of upstreams.values()) upstream.destroy()
      await origin.close()
    },
  }
}

/** Answers each request with the play of its trace. */
async function startUpstream(playOf: (traceId: string) => { readonly play: Play; arrived: Buffer } | undefined) {
  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const mine = playOf(String(request.headers['traceparent']).split('-')[1] ?? '')
    if (mine === undefined) return void response.writeHead(599).end()
    mine.arrived = Buffer.concat(chunks)
    response.writeHead(mine.play.status, mine.play.responseHeaders)
    response.flushHeaders()
    const few = mine.play.pieces.length <= 200
    for (const piece of mine.play.pieces) {
      response.write(piece)
      if (few) await new Promise((resolve) => setImmediate(resolve))
    }
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function ask(port: number, agent: http.Agent, play: Play, traceId: string): Promise<{ status: number | undefined; received: Buffer }> {
  const { method, path, requestBody } = play
  const length = requestBody.length > 0 ? { 'content-length': String(requestBody.length) } : {}
  const headers = { ...play.requestHeaders, ...length, traceparent: `00-${traceId}-${traceId.slice(0, 16)}-01` }
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, method, path, headers, agent }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode, received: Buffer.concat(chunks) }))
      response.on('error', reject)
    })
    request.on('error', reject)
    request.end(requestBody)
  })
}
