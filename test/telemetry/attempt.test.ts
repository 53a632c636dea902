/** What became of an export, with the SDK's own exporters and a collector that answers in every way. */

import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { OTLPTraceExporter as GrpcTraces } from '@opentelemetry/exporter-trace-otlp-grpc'
import { OTLPTraceExporter as JsonTraces } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtobufTraces } from '@opentelemetry/exporter-trace-otlp-proto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { attempt } from '../../src/telemetry/attempt.ts'
import { installDiagnostics, type PartialSuccess } from '../../src/telemetry/diagnostics.ts'
import { startCollector } from './collector.ts'

async function tryOne(exporter: JsonTraces | ProtobufTraces | GrpcTraces, level?: string) {
  let told: PartialSuccess | undefined
  const lines: string[] = []
  let retries = 0
  installDiagnostics(level, (line) => void lines.push(line), {
    onPartialSuccess: (partial) => void (told = partial),
    onRetry: () => void retries++,
  })
  const result = await attempt(exporter, [], () => {
    const partial = told
    told = undefined
    return partial
  })
  return { result, lines, retries }
}

describe('an export over HTTP', () => {
  it.each([400, 413, 422])('that is answered %i is refused', async (status) => {
    const { url } = await startCollector(status)
    const { result } = await tryOne(new JsonTraces({ url }))
    expect(result).toEqual({ kind: 'refused', message: expect.stringMatching(new RegExp(`^${status} `)) })
  })

  it.each([401, 403, 404, 405, 408, 500])('that is answered %i may be delivered later', async (status) => {
    const { url } = await startCollector(status)
    const { result } = await tryOne(new JsonTraces({ url }))
    expect(result).toEqual({ kind: 'failed', message: expect.stringMatching(new RegExp(`^${status} `)) })
  })

  it.each([429, 502, 503, 504])('that is answered %i is tried again by the SDK, and then by us', async (status) => {
    const { url } = await startCollector(status)
    const { result } = await tryOne(new JsonTraces({ url, timeoutMillis: 50 }))
    expect(result).toEqual({ kind: 'failed', message: 'Export failed with retryable status' })
  })

  it('that the SDK sends again by itself is heard', async () => {
    let status = 503
    const { url } = await startCollector(() => ({ status: status-- > 502 ? 503 : 200 }))
    const { result, retries, lines } = await tryOne(new JsonTraces({ url }))
    expect([result.kind, retries, lines]).toEqual(['delivered', 1, []])
  })

  it('to nobody says why', async () => {
    const { result } = await tryOne(new JsonTraces({ url: 'http://127.0.0.1:9', timeoutMillis: 50 }))
    expect(result).toEqual({ kind: 'failed', message: 'connect ECONNREFUSED 127.0.0.1:9' })
  })

  it.each(['warn', 'none'])(
    'tells what a partial success rejected, whatever the level of the diagnostics (%s), and does not write it',
    async (level) => {
      const body = JSON.stringify({ partialSuccess: { rejectedSpans: '2', errorMessage: 'too old' } })
      const { url } = await startCollector(() => ({ status: 200, body }))
      const { result, lines } = await tryOne(new JsonTraces({ url }), level)
      expect([result, lines]).toEqual([{ kind: 'delivered', signal: 'traces', rejected: 2, message: 'too old' }, []])
    },
  )

  it('tells what a partial success in protobuf rejected', async () => {
    // ExportTraceServiceResponse { partial_success { rejected_spans: 3, error_message: "no" } }
    const body = Buffer.from([0x0a, 6, 0x08, 3, 0x12, 2, 0x6e, 0x6f]).toString('latin1')
    const { url } = await startCollector(() => ({ status: 200, body, contentType: 'application/x-protobuf' }))
    const { result } = await tryOne(new ProtobufTraces({ url }))
    expect(result).toEqual({ kind: 'delivered', signal: 'traces', rejected: 3, message: 'no' })
  })
})

describe('an export over gRPC', () => {
  async function grpcServer(status: number, message = Buffer.from([0, 0, 0, 0, 0])): Promise<string> {
    const server = http2.createServer()
    server.on('stream', (stream) => {
      stream.resume()
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(status) }))
      stream.end(status === 0 ? message : undefined)
    })
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    onTestFinished(() => void server.close())
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  it.each([
    [3, 'refused'],
    [9, 'refused'],
    [14, 'failed'],
    [16, 'failed'],
    [0, 'delivered'],
  ])('with status %i is %s', async (status, kind) => {
    const { result } = await tryOne(new GrpcTraces({ url: await grpcServer(status) }))
    expect(result.kind).toBe(kind)
  })

  it('tells what a partial success rejected', async () => {
    const message = Buffer.from([0, 0, 0, 0, 4, 0x0a, 2, 0x08, 5])
    const { result } = await tryOne(new GrpcTraces({ url: await grpcServer(0, message) }))
    expect(result).toMatchObject({ kind: 'delivered', rejected: 5 })
  })
})
