/** Reads the sidecar's admin port: readiness and counters. */
import { array, at, type Json, object, parseJson } from '../../lib/json.ts'
import { samplesOf, sumOf } from '../../telemetry/scrape.ts'

/** The counters that a verification compares, at one moment. All are totals; a counter that the sidecar does not have is undefined. */
export interface Counters {
  readonly requests: number | undefined
  readonly logWritten: number | undefined
  readonly logDropped: number | undefined
  readonly spansDelivered: number | undefined
  readonly spansDropped: number | undefined
  readonly spanFailures: number | undefined
  readonly spansWaiting: number | undefined
  /** Spans are exported to a collector: only then some can wait. Counters do not tell, as the ledger keeps them of earlier starts. */
  readonly exportsSpans: boolean
}

export interface Readiness {
  readonly ready: boolean
  /** The reasons for not being ready, as sentences. */
  readonly reasons: readonly string[]
  /** What it says is wrong with its records, as sentences. */
  readonly problems: readonly string[]
}

const patienceMs = 5000

const get = (admin: URL, path: string) => fetch(new URL(path, admin), { signal: AbortSignal.timeout(patienceMs), redirect: 'manual' })

/** Rejects when nothing responds there; `undefined` when the response is not tokenweir's. */
export async function readiness(admin: URL): Promise<Readiness | undefined> {
  const response = await get(admin, '/readyz')
  const body = parseJson(await response.text())
  const ready = at(body, 'ready')
  if (typeof ready !== 'boolean') return undefined
  const sentences = (value: Json | undefined) => (array(value) ?? []).map(String)
  return { ready, reasons: sentences(at(body, 'reasons')), problems: sentences(at(at(body, 'records'), 'problems')) }
}

/** Rejects when nothing answers. */
export async function readCounters(admin: URL): Promise<Counters> {
  return countersOf(await (await get(admin, '/metrics')).text())
}

/** From Prometheus text. */
export function countersOf(text: string): Counters {
  const samples = samplesOf(text)
  const total = (name: string) => sumOf(samples, name)
  const ofSpans = (name: string) => sumOf(samples, name, { signal: 'traces' })
  const spansWaiting = ofSpans('tokenweir_spool_depth')
  return {
    requests: total('tokenweir_requests_total'),
    logWritten: total('tokenweir_log_written_total'),
    logDropped: total('tokenweir_log_dropped_total'),
    spansDelivered: ofSpans('tokenweir_spool_delivered_total'),
    spansDropped: ofSpans('tokenweir_spool_dropped_total'),
    spanFailures: ofSpans('tokenweir_spool_failures_total'),
    spansWaiting,
    exportsSpans: spansWaiting !== undefined,
  }
}

/** The newest ended request of a trace, from the sidecar's API; undefined where there is none yet, `refused` where the sidecar does not tell. Never rejects. */
export async function rowOfTrace(
  admin: URL,
  token: string | undefined,
  traceId: string,
  sinceMs: number,
): Promise<Json | 'refused' | undefined> {
  const query = new URLSearchParams({ text: traceId, since: new Date(sinceMs).toISOString() })
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  try {
    const response = await fetch(new URL(`/api/requests?${query}`, admin), {
      headers,
      signal: AbortSignal.timeout(patienceMs),
      redirect: 'manual',
    })
    const found = array(at(parseJson(await response.text()), 'requests'))
    if (!response.ok || found === undefined) return 'refused'
    return found.find((row) => at(row, 'trace_id') === traceId && object(row)?.['end_reason'] !== null)
  } catch {
    return 'refused'
  }
}
