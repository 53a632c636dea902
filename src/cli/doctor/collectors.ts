/** Each collector that telemetry is sent to: an empty export by the protocol and with the headers that the sidecar uses. */
import { connect } from 'node:http2'
import { containerOf } from '../../lib/container.ts'
import { type Environment, planTelemetry, type TelemetryPlan } from '../../telemetry/environment.ts'
import { type Check, failed, ok, skipped, warned } from '../checks.ts'
import { type Probed, probe } from '../probe.ts'
import { type Endpoint, endpointsInFile } from './config-file.ts'
import { type Examined, shownUrl } from './upstreams.ts'

export async function examineCollectors(env: Environment, { patienceMs }: { readonly patienceMs: number }): Promise<Examined> {
  const plan = planTelemetry(env)
  const problems = plan.problems.map((problem) =>
    warned(
      'telemetry',
      problem.replace(/"[^"]*"|https?:\/\/\S+/g, '…'),
      'Set the variable to a value that can be used; docs/telemetry.md has them.',
    ),
  )
  const endpoints = await (plan.configFile === undefined
    ? endpointsOf(plan, { ...env, ...plan.variables })
    : endpointsInFile(plan.configFile, env)
  ).catch((error: NodeJS.ErrnoException) => error)
  if (endpoints instanceof Error) {
    const what = `The file that OTEL_CONFIG_FILE names cannot be read: ${endpoints.code ?? endpoints.name}.`
    return { checks: [...problems, failed('collector', what, 'Mend the file or the variable; nothing is exported meanwhile.')], ahead: [] }
  }
  if (endpoints.length === 0) {
    return { checks: [...problems, skipped('collector', 'none is configured (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_CONFIG_FILE)')], ahead: [] }
  }
  const isLocal = containerOf(env) === 'container'
  const seen = await Promise.all(endpoints.map((endpoint) => look(endpoint, patienceMs, isLocal)))
  return { checks: [...problems, ...seen.map(({ check }) => check)], ahead: seen.flatMap(({ ahead }) => ahead) }
}

const usualEndpoint = { 'http/protobuf': 'http://localhost:4318', 'http/json': 'http://localhost:4318', grpc: 'http://localhost:4317' }

/** As the exporters read them: the address of one signal is whole, the general one is a base. https://opentelemetry.io/docs/specs/otel/protocol/exporter/ */
async function endpointsOf(plan: TelemetryPlan, env: Environment): Promise<Endpoint[]> {
  const signals = [
    { signal: 'traces', exporters: plan.traces, protocol: plan.traceProtocol },
    { signal: 'metrics', exporters: plan.metrics, protocol: plan.metricProtocol },
    { signal: 'logs', exporters: plan.logs, protocol: plan.logProtocol },
  ] as const
  return signals.flatMap(({ signal, exporters, protocol }) => {
    if (!exporters.includes('otlp')) return []
    const own = env[`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT`]?.trim()
    const base = (env['OTEL_EXPORTER_OTLP_ENDPOINT']?.trim() || usualEndpoint[protocol]).replace(/\/+$/, '')
    const url = URL.parse(own || (protocol === 'grpc' ? base : `${base}/v1/${signal}`))
    const headers = ['OTEL_EXPORTER_OTLP_HEADERS', `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_HEADERS`].map((name) =>
      headersOf(env[name] ?? ''),
    )
    return url === null ? [] : [{ signal, url, protocol, headers: Object.assign({}, ...headers) as Endpoint['headers'] }]
  })
}

/** `name=value,name=value`, percent-encoded. */
export function headersOf(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split(',').flatMap((field) => {
      const equals = field.indexOf('=')
      if (equals < 1) return []
      try {
        return [[field.slice(0, equals).trim().toLowerCase(), decodeURIComponent(field.slice(equals + 1).trim())]]
      } catch {
        return []
      }
    }),
  )
}

async function look(
  endpoint: Endpoint,
  patienceMs: number,
  isLocal: boolean,
): Promise<{ readonly check: Check; readonly ahead: Examined['ahead'] }> {
  const { signal, url, protocol, headers } = endpoint
  const name = `collector ${signal}`
  if (url.protocol === 'unix:') return { check: skipped(name, 'a unix socket, which is not looked at'), ahead: [] }
  if (protocol === 'grpc') return { check: await lookByGrpc(name, url, patienceMs), ahead: [] }
  const [contentType, body] = protocol === 'http/json' ? ['application/json', '{}'] : ['application/x-protobuf', '']
  const probed = await probe(url, { method: 'POST', headers: { ...headers, 'content-type': contentType }, body, patienceMs })
  const { aheadMs } = probed
  return { check: judge(name, probed, isLocal), ahead: aheadMs === undefined ? [] : [{ who: `the collector ${url.host}`, ms: aheadMs }] }
}

function judge(name: string, { url, answer, unreachable, speaksTls }: Probed, isLocal: boolean): Check {
  const where = shownUrl(url)
  if (speaksTls === true) return failed(name, `${where} speaks TLS, and was spoken to by plain HTTP.`, 'Begin the endpoint with https://.')
  if (answer === undefined) {
    const { reason = 'closed', code = '' } = unreachable ?? {}
    if (/WRONG_VERSION_NUMBER/.test(code))
      return failed(name, `${where} speaks plain HTTP, and was spoken to by TLS.`, 'Begin the endpoint with http://.')
    const inside = isLocal && /^(localhost|127\.|\[::1\])/.test(url.hostname)
    const mend = inside
      ? 'In a container that is the container itself: write host.docker.internal, or the service name of the collector.'
      : 'Is the collector running, and is that its port (4318 for HTTP, 4317 for gRPC)? What was recorded waits in the ledger.'
    return failed(name, `${where} cannot be reached: ${reason} (${code}).`, mend)
  }
  const { status, contentType } = answer
  if (status >= 200 && status < 300 && !/html/i.test(contentType ?? ''))
    return ok(name, `${where} takes exports (${status}, ${Math.round(answer.tookMs)} ms)`)
  const mend =
    status === 401 || status === 403
      ? 'Set OTEL_EXPORTER_OTLP_HEADERS to the credentials that it wants.'
      : 'Is that a collector for OTLP over HTTP? OTEL_EXPORTER_OTLP_ENDPOINT is a base: /v1/traces and its like are added to it.'
  return failed(name, `${where} answers an empty export with ${status}${/html/i.test(contentType ?? '') ? ', an HTML page' : ''}.`, mend)
}

/** Whether HTTP/2 is spoken there, which gRPC needs. */
function lookByGrpc(name: string, url: URL, patienceMs: number): Promise<Check> {
  const where = url.origin
  return new Promise((resolve) => {
    const session = connect(url.origin)
    const end = (check: Check) => {
      session.destroy()
      resolve(check)
    }
    const mend =
      'Is that its port for gRPC (4317; 4318 is the one for HTTP), and does the endpoint begin with http:// or https:// as it should?'
    session.once('remoteSettings', () => end(ok(name, `${where} speaks HTTP/2, as gRPC needs`)))
    session.once('error', ({ code = '', message }: NodeJS.ErrnoException) => {
      const isAway = code.startsWith('E') && !code.startsWith('ERR_')
      const what = isAway ? `${where} cannot be reached (${code}).` : `${where} does not speak gRPC: ${message}.`
      end(failed(name, what, isAway ? `Is the collector running? ${mend}` : mend))
    })
    session.once('close', () => end(failed(name, `${where} closed the connection: it does not speak gRPC.`, mend)))
    session.setTimeout(patienceMs, () => end(failed(name, `${where} did not answer in ${Math.round(patienceMs / 1000)} s.`, mend)))
  })
}
