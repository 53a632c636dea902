/** The counters to compare records with, from a scrape or from the ledger file. */
import { at, parseJson, string } from '../../lib/json.ts'
import { type MetricName, metrics, prometheusName } from '../../telemetry/catalog.ts'
import { type Sample, samplesOf, sumOf } from '../../telemetry/scrape.ts'

/** Sums of one provider; `''` is unknown. */
export interface Totals {
  requests: number
  inputTokens: number
  outputTokens: number
}

export interface Counters {
  readonly byProvider: ReadonlyMap<string, Totals>
  /** Sum over the series of a counter without a unit that have all these labels. 0 when there is none. */
  total(name: string, labels?: Readonly<Record<string, string>>): number
}

/** Prometheus text of the sidecar. */
export function countersOfText(text: string): Counters {
  return countersOf(samplesOf(text))
}

/** Rows of the file's table `series`: `name` as in the catalog, `labels` as JSON, `value` of a counter or `sum` of a histogram. */
export function countersOfSeries(rows: Iterable<Readonly<Record<string, unknown>>>): Counters {
  const samples: Sample[] = []
  for (const { name, labels: json, value, sum } of rows) {
    if (typeof name !== 'string') continue
    const labels: Record<string, string> = {}
    const parsed = parseJson(String(json))
    for (const key of Object.keys(parsed ?? {})) labels[key.replaceAll('.', '_')] = string(at(parsed, key)) ?? String(at(parsed, key))
    // A metric of another version is not in the catalog: it is taken for a counter.
    const base = name in metrics ? prometheusName(name as MetricName) : `${name.replaceAll('.', '_')}_total`
    if (typeof value === 'number') samples.push({ name: base, labels, value })
    else if (typeof sum === 'number') samples.push({ name: `${base}_sum`, labels, value: sum })
  }
  return countersOf(samples)
}

const requests = prometheusName('tokenweir.requests')
/** Of both generations of names; a sidecar records one of them. */
const tokens = {
  histogram: `${prometheusName('gen_ai.client.token.usage')}_sum`,
  input: prometheusName('gen_ai.client.inference.usage.input_tokens'),
  output: prometheusName('gen_ai.client.inference.usage.output_tokens'),
}

function countersOf(samples: readonly Sample[]): Counters {
  const byProvider = new Map<string, Totals>()
  const of = ({ labels }: Sample): Totals => {
    const provider = labels['gen_ai_provider_name'] ?? ''
    const known = byProvider.get(provider) ?? { requests: 0, inputTokens: 0, outputTokens: 0 }
    byProvider.set(provider, known)
    return known
  }
  for (const sample of samples) {
    const type = sample.labels['gen_ai_token_type']
    if (sample.name === requests) of(sample).requests += sample.value
    else if (sample.name === tokens.input || (sample.name === tokens.histogram && type === 'input')) of(sample).inputTokens += sample.value
    else if (sample.name === tokens.output || (sample.name === tokens.histogram && type === 'output'))
      of(sample).outputTokens += sample.value
  }
  return {
    byProvider,
    total: (name, labels) => sumOf(samples, `${name.replaceAll('.', '_')}_total`, labels) ?? 0,
  }
}
