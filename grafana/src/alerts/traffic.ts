/** How requests fare: errors, streams that are cut, answers that begin late. A client that leaves is in none of them. */
import { either, type Label, list, max, min, ratio, series, sum } from '../promql.ts'
import type { Alert, Making } from './alert.ts'

const route = 'http.route'
const failed = series('http.server.request.duration', { 'http.response.status_code': '=~"5.."' }, 'count')
const cut = series('tokenweir.requests', { end_reason: '="upstream-aborted"' })
const whole = series('tokenweir.requests', { end_reason: '=~"completed|upstream-aborted"' })

/** Below this many in the long window there is too little to judge by. */
const failuresMin = 10

interface Burn {
  readonly name: string
  readonly severity: Alert['severity']
  /** How many times as fast as the budget of 30 days allows. */
  readonly factor: number
  readonly longSeconds: number
  readonly shortSeconds: number
}

/** Both windows must burn: the long one says that it matters, the short one that it goes on. */
function burn({ name, severity, factor, longSeconds, shortSeconds }: Burn, { counts, seconds, errorBudget }: Making): Alert {
  const requests = (window: number) => counts.of('requests', series('tokenweir.requests'), seconds(window), route)
  /** Answered with 5xx, or cut; 0 where there are requests and no such. */
  const bad = (window: number) => {
    const orNone = (count: string) => `(${count} or 0 * ${requests(window)})`
    return `${orNone(counts.of('server_errors', failed, seconds(window), route))} + ${orNone(counts.of('cut_requests', cut, seconds(window), route))}`
  }
  const limit = Number((factor * errorBudget).toFixed(6))
  const over = (window: number) => `(${ratio(bad(window), requests(window))} > ${limit})`
  return {
    name,
    severity,
    expr: [over(longSeconds), over(shortSeconds), `(${bad(longSeconds)} >= ${failuresMin})`].join(`\nand on (${list([route])}) `),
    forSeconds: 0,
    keepSeconds: seconds(shortSeconds),
    summary: '{{ $value | humanizePercentage }} of the requests on route {{ $labels.http_route }} fail',
    impact: `Answered with 5xx, or cut. At this rate the error budget of 30 days is gone in ${Math.round(30 / factor)} days or less.`,
    firstSteps:
      'Open the dashboard: which status or error type, which provider? 502 and 504 with "unreachable" are the upstream being away.',
    dashboard: 'reliability',
    traceQl: '{ status = error }',
  }
}

export function trafficAlerts(making: Making): Alert[] {
  return [
    burn({ name: 'ErrorBurnFast', severity: 'page', factor: 14.4, longSeconds: 3600, shortSeconds: 300 }, making),
    burn({ name: 'ErrorBurnSlow', severity: 'ticket', factor: 6, longSeconds: 21_600, shortSeconds: 1800 }, making),
    upstreamFailing(making),
    cutStreams(making),
    slowFirstChunk(making),
    rateLimitNear(making),
  ]
}

/** Of requests and probes together, within the window in which no request succeeded. */
const upstreamFailuresMin = 5

function upstreamFailing({ counts, seconds }: Making): Alert {
  const where = ['instance', 'upstream'] as const satisfies readonly Label[]
  const window = seconds(300)
  const requests = counts.of('upstream_failures', series('tokenweir.upstream.failures'), window, ...where, 'reason')
  const probes = counts.of('failed_probes', series('tokenweir.upstream.probes', { result: '!="success"' }), window, ...where, 'result')
  const failures = sum(`${requests} or label_replace(${probes}, "reason", "$1", "result", "(.*)")`, ...where, 'reason')
  const succeeded = `(time() - ${max(series('tokenweir.upstream.last_success'), ...where)} < ${window})`
  const on = `on (${list(where)})`
  return {
    name: 'UpstreamFailing',
    severity: 'page',
    expr: `(${failures} > 0)\nand ${on} (${sum(failures, ...where)} >= ${upstreamFailuresMin})\nunless ${on} ${succeeded}`,
    forSeconds: 0,
    keepSeconds: seconds(300),
    summary: 'The upstream {{ $labels.upstream }} of {{ $labels.instance }} only fails: {{ $labels.reason }}',
    impact: 'No request to this upstream has succeeded for five minutes. Clients get 502, 504 or what the upstream answers.',
    firstSteps:
      'Is the upstream running, and can the machine of the sidecar reach it? `tokenweir doctor` there says what is wrong. With 5xx the upstream answers: read its log.',
    dashboard: 'reliability',
  }
}

function cutStreams({ counts, seconds }: Making): Alert {
  const where = ['gen_ai.provider.name', route] as const satisfies readonly Label[]
  const broken = (window: number) => counts.of('cut_answers', cut, seconds(window), ...where)
  const answers = counts.of('answers', whole, seconds(1800), ...where)
  return {
    name: 'CutStreams',
    severity: 'page',
    expr: [`(${ratio(broken(1800), answers)} > 0.05)`, `(${broken(1800)} >= 5)`, `(${broken(600)} > 0)`].join(`\nand on (${list(where)}) `),
    forSeconds: 0,
    keepSeconds: seconds(900),
    summary:
      '{{ $value | humanizePercentage }} of the answers of {{ $labels.gen_ai_provider_name }} on route {{ $labels.http_route }} break off',
    impact: 'Clients get half an answer after a status of 200; its usage is partial or missing.',
    firstSteps:
      'Open the dashboard and a trace: does it break after the same time (an idle or total limit of a hop between), or at any? Look at the gateway and its limits.',
    dashboard: 'reliability',
    traceQl: '{ span.tokenweir.end_reason = "upstream-aborted" && span.gen_ai.provider.name = "{{ $labels.gen_ai_provider_name }}" }',
  }
}

function slowFirstChunk({ counts, seconds, firstChunkSeconds }: Making): Alert {
  const window = seconds(900)
  const provider = 'gen_ai.provider.name'
  type Generation = 'operation' | 'inference'
  const of = (generation: Generation, part: 'bucket' | 'count') => series(`gen_ai.client.${generation}.time_to_first_chunk`, {}, part)
  const buckets = (generation: Generation) => counts.of(`first_chunks_${generation}`, of(generation, 'bucket'), window, 'le', provider)
  const streams = (generation: Generation) => counts.of(`streams_begun_${generation}`, of(generation, 'count'), window, provider)
  return {
    name: 'SlowFirstChunk',
    severity: 'ticket',
    expr: `((${either((generation) => `histogram_quantile(0.9, ${buckets(generation)})`)}) > ${firstChunkSeconds})\nand on (${list([provider])}) ((${either(streams)}) >= 20)`,
    forSeconds: seconds(300),
    keepSeconds: seconds(900),
    summary: 'One stream in ten of {{ $labels.gen_ai_provider_name }} begins only after {{ $value | humanizeDuration }}',
    impact: 'People wait for the first word.',
    firstSteps:
      'Open the dashboard: one model or all? Is it the provider, or the sidecar (then its overhead shows on the page of the sidecar itself)?',
    dashboard: 'latency',
    traceQl: `{ span.gen_ai.provider.name = "{{ $labels.gen_ai_provider_name }}" && span.gen_ai.response.time_to_first_chunk > ${firstChunkSeconds} }`,
  }
}

/** Limits below ten are of requests at once, or of a test key: they are used up by one. */
const limitMin = 10

function rateLimitNear({ seconds }: Making): Alert {
  const by = ['gen_ai.provider.name', 'gen_ai.request.model', 'rate_limit', 'caller'] as const satisfies readonly Label[]
  const limit = `(${max(series('tokenweir.ratelimit.limit'), ...by)} >= ${limitMin})`
  return {
    name: 'RateLimitNear',
    severity: 'ticket',
    expr: `(${min(series('tokenweir.ratelimit.remaining'), ...by)} / ${limit}) < 0.1`,
    forSeconds: seconds(300),
    keepSeconds: seconds(300),
    summary:
      '{{ $value | humanizePercentage }} of the limit on {{ $labels.rate_limit }} of {{ $labels.gen_ai_provider_name }} is left for {{ $labels.caller }}',
    impact: 'Soon requests are answered 429.',
    firstSteps:
      'Open the dashboard: which model and caller? Spread the load, ask the provider for more, or move some of it to another model.',
    dashboard: 'reliability',
  }
}
