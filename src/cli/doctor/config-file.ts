/** The endpoints that OpenTelemetry's declarative configuration (OTEL_CONFIG_FILE) names. https://opentelemetry.io/docs/specs/otel/configuration/ */
import { readFileSync } from 'node:fs'
import type { Environment, TelemetryPlan } from '../../telemetry/environment.ts'

export interface Endpoint {
  readonly signal: 'traces' | 'metrics' | 'logs'
  readonly url: URL
  readonly protocol: TelemetryPlan['traceProtocol']
  readonly headers: Readonly<Record<string, string>>
}

const signals = { tracer_provider: 'traces', meter_provider: 'metrics', logger_provider: 'logs' } as const
const usual = { otlp_http: 'http://localhost:4318/v1/', otlp_grpc: 'http://localhost:4317' } as const

/** Throws as `readFileSync` and the parser do. */
export async function endpointsInFile(path: string, env: Environment): Promise<Endpoint[]> {
  const { parse } = await import('yaml')
  // `${NAME}` and `${NAME:-default}`.
  const text = readFileSync(path, 'utf8').replace(/\$\{(?:env:)?(\w+)(?::-([^}]*))?\}/g, (_, name, fallback = '') => env[name] || fallback)
  const file = (parse(text) ?? {}) as Record<string, unknown>
  return Object.entries(signals).flatMap(([key, signal]) =>
    exportersIn(file[key]).flatMap(([kind, settings]) => {
      const endpoint =
        typeof settings['endpoint'] === 'string' ? settings['endpoint'] : kind === 'otlp_http' ? usual[kind] + signal : usual[kind]
      const url = URL.parse(endpoint)
      const protocol = kind === 'otlp_grpc' ? 'grpc' : settings['encoding'] === 'json' ? 'http/json' : 'http/protobuf'
      return url === null ? [] : [{ signal, url, protocol, headers: headersIn(settings['headers']) } as const]
    }),
  )
}

type Found = readonly [kind: keyof typeof usual, settings: Readonly<Record<string, unknown>>]

/** At whatever depth. */
function exportersIn(value: unknown): Found[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]): Found[] =>
    key === 'otlp_http' || key === 'otlp_grpc' ? [[key, (inner ?? {}) as Record<string, unknown>]] : exportersIn(inner),
  )
}

function headersIn(value: unknown): Record<string, string> {
  const listed = (Array.isArray(value) ? value : []) as readonly { readonly name?: unknown; readonly value?: unknown }[]
  return Object.fromEntries(listed.map(({ name, value: text }) => [String(name).toLowerCase(), String(text)]))
}
