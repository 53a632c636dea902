/**
 * Telemetry that an earlier version left encoded in the ledger's file is sent as it is, once, by the transport of the SDK's exporters: what it says
 * of a request's settings is in no row.
 */

import { convertLegacyHttpOptions, createOtlpHttpExportDelegate } from '@opentelemetry/otlp-exporter-base/node-http'
import { convertLegacyOtlpGrpcOptions, createOtlpGrpcExportDelegate } from '@opentelemetry/otlp-grpc-exporter-base'
import { JsonLogsSerializer, JsonTraceSerializer, ProtobufLogsSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { type Attempt, attempt, type Exporter, type TakeRejected } from './attempt.ts'
import type { Protocol } from './environment.ts'
import type { Batch, Source } from './sender.ts'
import type { Signal } from './signal.ts'
import type { SpoolCounters } from './spool-counters.ts'

export type Encoding = 'protobuf' | 'json'

export interface Packet {
  readonly id: number
  readonly encoding: Encoding
  /** Spans or log records in it. */
  readonly records: number
  /** When it was recorded, in milliseconds since the epoch. */
  readonly createdAt: number
  /** A whole export request. */
  readonly body: Uint8Array
}

export interface Packets {
  totals(signal: Signal): { readonly records: number }
  /** The oldest, all in one encoding. */
  next(signal: Signal, limit: number): readonly Packet[]
  /** They wait no more. */
  remove(packets: readonly Packet[]): void
}

export interface LeftoverOptions {
  readonly signal: Signal
  readonly packets: Packets
  readonly counters: SpoolCounters
  /** Undefined where it cannot travel: JSON over gRPC, or no endpoint in the variables. */
  readonly send: (encoding: Encoding) => ((body: Uint8Array) => Promise<Attempt>) | undefined
  /** 0 is without limit. */
  readonly ageMsMax: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Writes what was removed. */
  readonly commit: () => void
}

/** In one request: they are small, what a batch of 50 ms made. */
const packetsMax = 256

export function createLeftoverSource({
  signal,
  packets,
  counters,
  send,
  ageMsMax,
  now,
  commit,
}: LeftoverOptions): Source & { trim(): void } {
  const settle = (taken: readonly Packet[]) => {
    packets.remove(taken)
    commit()
  }
  return {
    depth: () => packets.totals(signal).records,
    take(limit): Batch | undefined {
      if (packets.totals(signal).records === 0) return undefined
      const [first] = packets.next(signal, 1)
      const sendOne = first === undefined ? undefined : send(first.encoding)
      if (first === undefined || sendOne === undefined) return undefined
      // Requests in protobuf are one when they are put one after the other.
      const taken = first.encoding === 'json' ? [first] : packets.next(signal, Math.min(limit, packetsMax))
      const records = taken.reduce((sum, packet) => sum + packet.records, 0)
      const body = taken.length === 1 ? first.body : Buffer.concat(taken.map((packet) => packet.body))
      return { size: taken.length, records, replayed: records, send: () => sendOne(body), settle: () => settle(taken) }
    },
    trim() {
      if (ageMsMax === 0 || packets.totals(signal).records === 0) return
      const old = packets.next(signal, packetsMax).filter(({ createdAt }) => createdAt < now() - ageMsMax)
      for (const { records } of old) counters.dropped('age', records)
      if (old.length > 0) settle(old)
    },
  }
}

const services = {
  traces: { identifier: 'TRACES', path: 'v1/traces', name: 'TraceExportService', method: 'trace.v1.TraceService' },
  logs: { identifier: 'LOGS', path: 'v1/logs', name: 'LogsExportService', method: 'logs.v1.LogsService' },
} as const satisfies Record<Signal, object>

const responses = {
  traces: { protobuf: ProtobufTraceSerializer, json: JsonTraceSerializer },
  logs: { protobuf: ProtobufLogsSerializer, json: JsonLogsSerializer },
}

/** Sends whole requests where the variables say, with their headers, compression, TLS and timeout. Each encoding has an exporter when it is first needed. */
export function sendEncoded(signal: Signal, protocol: Protocol, takeRejected: TakeRejected): LeftoverOptions['send'] {
  const exporters = new Map<Encoding, Exporter<Uint8Array>>()
  return (encoding) => {
    if (protocol === 'grpc' && encoding === 'json') return undefined
    const exporter = exporters.get(encoding) ?? createExporter(signal, protocol, encoding)
    exporters.set(encoding, exporter)
    return (body) => attempt(exporter, body, takeRejected)
  }
}

function createExporter(signal: Signal, protocol: Protocol, encoding: Encoding): Exporter<Uint8Array> {
  const { identifier, path, name, method } = services[signal]
  const serializer = {
    serializeRequest: (body: Uint8Array) => body,
    deserializeResponse: (data: Uint8Array) => responses[signal][encoding].deserializeResponse(data),
  }
  const items = { name: signal === 'traces' ? 'span' : 'log', countItems: () => 0 } as const
  if (protocol === 'grpc') {
    const options = convertLegacyOtlpGrpcOptions({}, identifier)
    const service = `/opentelemetry.proto.collector.${method}/Export`
    return createOtlpGrpcExportDelegate(options, serializer, 'tokenweir', items, undefined, name, service)
  }
  const type = encoding === 'json' ? 'application/json' : 'application/x-protobuf'
  const options = convertLegacyHttpOptions({}, identifier, path, { 'Content-Type': type })
  return createOtlpHttpExportDelegate(options, serializer, 'tokenweir', items, undefined)
}
