/** Prometheus's own API, as far as the tests ask it. */

export type Labels = Readonly<Record<string, string>>
export interface Sample {
  readonly labels: Labels
  /** Seconds since the epoch, and the value. One of an instant query, oldest first of a range. */
  readonly values: readonly (readonly [timeSeconds: number, value: number])[]
}

export interface Rule {
  readonly name: string
  readonly type: 'alerting' | 'recording'
  readonly health: string
  readonly lastError?: string
  readonly alerts?: readonly { readonly labels: Labels; readonly state: string }[]
}

export interface Prometheus {
  readonly url: string
  /** The value now, or then, of each series that `query` gives. */
  query(query: string, timeSeconds?: number): Promise<readonly Sample[]>
  /** Of the last `seconds`, a value every `step` seconds. */
  range(query: string, seconds: number, step: number): Promise<readonly Sample[]>
  /** The trace ids of a query's exemplars of the last five minutes. */
  exemplars(query: string): Promise<readonly string[]>
  /** Values of a label of what a selector gives. */
  labelValues(selector: string, label: string): Promise<readonly string[]>
  rules(): Promise<readonly Rule[]>
}

interface Answered {
  readonly metric: Labels
  readonly value?: readonly [number, string]
  readonly values?: readonly (readonly [number, string])[]
}

export function createPrometheus(url: string): Prometheus {
  async function ask<Data>(path: string, parameters: Labels = {}): Promise<Data> {
    const response = await fetch(`${url}/api/v1/${path}`, { method: 'POST', body: new URLSearchParams(parameters) })
    const answer = (await response.json()) as { readonly status: string; readonly error?: string; readonly data: Data }
    if (answer.status !== 'success') throw new Error(`${answer.error}\n${JSON.stringify(parameters)}`)
    return answer.data
  }
  const get = async <Data>(path: string): Promise<Data> =>
    ((await (await fetch(`${url}/api/v1/${path}`)).json()) as { readonly data: Data }).data
  const samples = ({ result }: { readonly result: readonly Answered[] }): readonly Sample[] =>
    result.map(({ metric, value, values = value === undefined ? [] : [value] }) => ({
      labels: metric,
      values: values.map(([time, text]) => [time, Number(text)]),
    }))
  const secondsNow = () => Date.now() / 1000
  return {
    url,
    query: async (query, timeSeconds = secondsNow()) => samples(await ask('query', { query, time: `${timeSeconds}` })),
    async range(query, seconds, step) {
      const end = secondsNow()
      return samples(await ask('query_range', { query, start: `${end - seconds}`, end: `${end}`, step: `${step}` }))
    },
    async exemplars(query) {
      type Found = readonly { readonly exemplars: readonly { readonly labels: Labels }[] }[]
      const found = await ask<Found>('query_exemplars', { query, start: `${secondsNow() - 300}`, end: `${secondsNow()}` })
      return found.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels['trace_id'] ?? ''))
    },
    labelValues: (selector, label) => get(`label/${label}/values?${new URLSearchParams({ 'match[]': selector })}`),
    async rules() {
      return (await get<{ readonly groups: readonly { readonly rules: readonly Rule[] }[] }>('rules')).groups.flatMap(({ rules }) => rules)
    },
  }
}
