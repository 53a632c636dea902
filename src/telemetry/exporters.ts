/** The SDK's OTLP exporters by protocol. They read their endpoint, headers, compression, timeout and certificates from `process.env`. */
import { OTLPLogExporter as GrpcLogs } from '@opentelemetry/exporter-logs-otlp-grpc'
import { OTLPLogExporter as JsonLogs } from '@opentelemetry/exporter-logs-otlp-http'
import { OTLPLogExporter as ProtobufLogs } from '@opentelemetry/exporter-logs-otlp-proto'
import { OTLPMetricExporter as GrpcMetrics } from '@opentelemetry/exporter-metrics-otlp-grpc'
import { OTLPMetricExporter as JsonMetrics } from '@opentelemetry/exporter-metrics-otlp-http'
import { OTLPMetricExporter as ProtobufMetrics } from '@opentelemetry/exporter-metrics-otlp-proto'
import { OTLPTraceExporter as GrpcTraces } from '@opentelemetry/exporter-trace-otlp-grpc'
import { OTLPTraceExporter as JsonTraces } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtobufTraces } from '@opentelemetry/exporter-trace-otlp-proto'

export const traceExporters = { 'http/protobuf': ProtobufTraces, 'http/json': JsonTraces, grpc: GrpcTraces } as const
export const metricExporters = { 'http/protobuf': ProtobufMetrics, 'http/json': JsonMetrics, grpc: GrpcMetrics } as const
export const logExporters = { 'http/protobuf': ProtobufLogs, 'http/json': JsonLogs, grpc: GrpcLogs } as const
