/**
 * Encoded requests → the collector, with the endpoint, headers, compression, TLS and timeout that the SDK reads from `OTEL_EXPORTER_OTLP_*`.
 * The SDK's own HTTP exporter tries again by itself and tells neither status nor attempt; here each attempt is one, and trying again is the
 * sender's. Over gRPC the SDK makes one attempt.
 */
import type http from 'node:http'
import type { Protocol } from './environment.ts'
import type { Encoding, Signal } from './packet.ts'

/** How one attempt ended. */
export type Attempt =
  /** `rejected`: records that the collector did not take, by its partial success. */
  | { readonly kind: 'delivered'; readonly rejected: number; readonly message?: string | undefined }
  /** It will not take this, now or later. */
  | { readonly kind: 'refused'; readonly message: string }
  /** It may take it later. */
  | { readonly kind: 'failed'; readonly message: string; readonly retryAfterMs?: number | undefined }

export interface Transport {
  /** Undefined when that encoding cannot travel by the protocol in use. */
  send(encoding: Encoding, body: Uint8Array): Promise<Attempt> | undefined
  /** What the stored records are encoded as. */
  readonly encoding: Encoding
  close(): void
}

const services = {
  traces: { identifier: 'TRACES', path: 'v1/traces', name: 'TraceExportService', method: 'trace.v1.TraceService' },
  logs: { identifier: 'LOGS', path: 'v1/logs', name: 'LogsExportService', method: 'logs.v1.LogsService' },
} as const satisfies Record<Signal, object>

/** Reads `OTEL_EXPORTER_OTLP_*` of `process.env`. */
export function createTransport(signal: Signal, protocol: Protocol): Promise<Transport> {
  return protocol === 'grpc' ? createGrpcTransport(signal) : createHttpTransport(signal, protocol === 'http/json' ? 'json' : 'protobuf')
}

const contentTypes: Record<Encoding, string> = { protobuf: 'application/x-protobuf', json: 'application/json' }
/** What is read of an answer. */
const answerBytesMax = 64 * 1024

async function createHttpTransport(signal: Signal, encoding: Encoding): Promise<Transport> {
  const { convertLegacyHttpOptions } = await import('@opentelemetry/otlp-exporter-base/node-http')
  const { identifier, path } = services[signal]
  const options = convertLegacyHttpOptions({}, identifier, path, {})
  const url = new URL(options.url)
  const [agent, { request }] = await Promise.all([
    options.agentFactory(url.protocol),
    url.protocol === 'https:' ? import('node:https') : import('node:http'),
  ])
  const compress = options.compression === 'gzip' ? await gzip() : async (body: Uint8Array) => body

  async function attempt(bodyEncoding: Encoding, body: Uint8Array): Promise<Attempt> {
    const bytes = await compress(body)
    const headers = {
      ...(await options.headers()),
      'Content-Type': contentTypes[bodyEncoding],
      'Content-Length': String(bytes.length),
      ...(options.compression === 'gzip' ? { 'Content-Encoding': 'gzip' } : {}),
    }
    return new Promise((resolve) => {
      const sent = request(url, { method: 'POST', headers, agent, timeout: options.timeoutMillis }, (response) => {
        readAnswer(response, (answer) => resolve(attemptOf(response, answer, signal)))
      })
      const late = setTimeout(() => sent.destroy(new Error('The collector did not answer in time')), options.timeoutMillis)
      sent.on('error', (error) => resolve({ kind: 'failed', message: error.message || String((error as { code?: string }).code) }))
      sent.on('close', () => {
        clearTimeout(late)
        resolve({ kind: 'failed', message: 'The collector closed the connection' })
      })
      sent.end(bytes)
    })
  }
  return { encoding, send: attempt, close: () => agent.destroy() }
}

async function gzip(): Promise<(body: Uint8Array) => Promise<Uint8Array>> {
  const [{ promisify }, zlib] = await Promise.all([import('node:util'), import('node:zlib')])
  return promisify(zlib.gzip) as (body: Uint8Array) => Promise<Uint8Array>
}

function readAnswer(response: http.IncomingMessage, done: (answer: Buffer) => void): void {
  const chunks: Buffer[] = []
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= answerBytesMax) chunks.push(chunk)
  })
  response.on('end', () => done(bytes <= answerBytesMax ? Buffer.concat(chunks) : Buffer.alloc(0)))
}

/** An operator mends these, or they pass. */
const mendable = new Set([401, 403, 404, 405, 408, 429])

function attemptOf(response: http.IncomingMessage, answer: Buffer, signal: Signal): Attempt | Promise<Attempt> {
  const status = response.statusCode ?? 0
  if (status >= 200 && status < 300) {
    const isJson = response.headers['content-type']?.includes('json') === true
    return deliveredOf(signal, isJson ? 'json' : 'protobuf', answer)
  }
  const message = `${status} ${response.statusMessage ?? ''}`.trim()
  if (status >= 400 && status < 500 && !mendable.has(status)) return { kind: 'refused', message }
  return { kind: 'failed', message, retryAfterMs: retryAfterOf(response.headers['retry-after']) }
}

/** Longer is not waited for: the collector may be back before. */
const retryAfterMsMax = 30_000

function retryAfterOf(header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  const seconds = Number(header)
  const ms = Number.isNaN(seconds) ? Date.parse(header) - Date.now() : seconds * 1000
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), retryAfterMsMax)
}

interface PartialSuccess {
  readonly rejectedSpans?: number | string
  readonly rejectedLogRecords?: number | string
  readonly errorMessage?: string
}

/** An answer that cannot be read is that of a collector that took everything. */
async function deliveredOf(signal: Signal, encoding: Encoding, answer: Uint8Array): Promise<Attempt> {
  if (answer.length === 0) return { kind: 'delivered', rejected: 0 }
  try {
    const { partialSuccess } = (encoding === 'json' ? JSON.parse(Buffer.from(answer).toString()) : await decoded(signal, answer)) as {
      partialSuccess?: PartialSuccess
    }
    const rejected = Number(partialSuccess?.rejectedSpans ?? partialSuccess?.rejectedLogRecords ?? 0)
    return { kind: 'delivered', rejected: rejected > 0 ? rejected : 0, message: partialSuccess?.errorMessage }
  } catch {
    return { kind: 'delivered', rejected: 0 }
  }
}

async function decoded(signal: Signal, answer: Uint8Array): Promise<object> {
  const { ProtobufTraceSerializer, ProtobufLogsSerializer } = await import('@opentelemetry/otlp-transformer')
  return (signal === 'traces' ? ProtobufTraceSerializer : ProtobufLogsSerializer).deserializeResponse(answer)
}

/** gRPC status codes: https://grpc.io/docs/guides/status-codes. INVALID_ARGUMENT, ALREADY_EXISTS, FAILED_PRECONDITION: of the request itself. */
const grpcRefusals = new Set([3, 6, 9])

async function createGrpcTransport(signal: Signal): Promise<Transport> {
  const { convertLegacyOtlpGrpcOptions, createOtlpGrpcExportDelegate } = await import('@opentelemetry/otlp-grpc-exporter-base')
  const { identifier, name, method } = services[signal]
  let answer: Uint8Array = new Uint8Array(0)
  const serializer = {
    serializeRequest: (body: Uint8Array) => body,
    deserializeResponse(data: Uint8Array) {
      answer = data
      return {}
    },
  }
  const delegate = createOtlpGrpcExportDelegate(
    convertLegacyOtlpGrpcOptions({}, identifier),
    serializer,
    'tokenweir',
    { name: signal === 'traces' ? 'span' : 'log', countItems: () => 0 },
    undefined,
    name,
    `/opentelemetry.proto.collector.${method}/Export`,
  )
  return {
    encoding: 'protobuf',
    send(bodyEncoding, body) {
      if (bodyEncoding !== 'protobuf') return undefined
      answer = new Uint8Array(0)
      return new Promise<Attempt>((resolve) => {
        delegate.export(body, ({ code, error }) => {
          if (code === 0) resolve(deliveredOf(signal, 'protobuf', answer))
          else resolve(grpcFailure(error))
        })
      })
    },
    close: () => void delegate.shutdown().catch(() => undefined),
  }
}

function grpcFailure(error: Error | undefined): Attempt {
  const { code } = (error ?? {}) as { code?: unknown }
  const message = error?.message ?? 'The export failed'
  if (typeof code === 'number' && grpcRefusals.has(code)) return { kind: 'refused', message }
  return { kind: 'failed', message }
}
