/** What the recording rules are to count, as series minute by minute: the unit tests that promtool runs. */
import { alertsFiring, series } from './promql.ts'
import { recordName } from './recordings.ts'

interface Scenario {
  readonly name: string
  /** Selector with its labels → samples in promtool's notation, one a minute. */
  readonly series: Readonly<Record<string, string>>
  /** Time → events of the time before it, as far as anything was counted. */
  readonly counted: Readonly<Record<string, number | undefined>>
}

const of = { job: '="tokenweir"', instance: '="a"' } as const
const requests = (end: string) => series('tokenweir.requests', { ...of, end_reason: `="${end}"` })
const started = series('tokenweir.counters.start_time', of)
/** Younger, and older, than an hour. */
const young = { [started]: '0x200' }
const old = { [started]: '-9000000x200' }

const scenarios: readonly Scenario[] = [
  {
    name: 'a series of a new ledger counts from its first value',
    series: { ...young, [requests('completed')]: '_x5 3x5 4x100' },
    counted: { '4m': undefined, '6m': 3, '20m': 4 },
  },
  {
    name: 'what Prometheus sees for the first time of an old ledger is no news; what comes then is',
    series: { ...old, [requests('completed')]: '1000x9 1002x100' },
    counted: { '5m': 0, '20m': 2 },
  },
  {
    name: 'a new series of a process that was there counts from 0, also when its ledger is old',
    series: { ...old, [requests('completed')]: '1000x100', [requests('refused')]: '_x10 1x100' },
    counted: { '9m': 0, '20m': 1 },
  },
  {
    name: 'a counter that begins anew counts from 0',
    series: { ...young, [requests('completed')]: '0x4 10x4 2x100' },
    counted: { '7m': 10, '20m': 12 },
  },
  {
    name: 'what happened while nothing arrived counts when it is back, once',
    series: { [started]: '-9000000x10 _x20 -9000000x60', [requests('completed')]: '1000x10 _x20 1007x60' },
    counted: { '9m': 0, '25m': 0, '40m': 7, '60m': 7 },
  },
  {
    name: 'a sidecar that comes back after hours with the counts it had is no news',
    series: { [started]: '-9000000x10 _x100 -9000000x60', [requests('completed')]: '1000x10 _x100 1500x60' },
    counted: { '9m': 0, '150m': 0 },
  },
]

export function recordingTests(recordings: string, alerts: string) {
  return {
    rule_files: [recordings, alerts],
    evaluation_interval: '1m',
    tests: [...scenarios.map(testOf), lostRecords, health],
  }
}

const testOf = ({ name, series: given, counted }: Scenario) => ({
  name,
  interval: '1m',
  input_series: Object.entries(given).map(([selector, values]) => ({ series: selector, values })),
  promql_expr_test: Object.entries(counted).map(([time, value]) => ({
    expr: `sum(sum_over_time(${recordName('tokenweir.requests')}[${time}]))`,
    eval_time: time,
    exp_samples: value === undefined ? [] : [{ labels: '{}', value }],
  })),
})

const lostRecords = {
  name: 'records of each kind that is lost are told apart',
  interval: '1m',
  input_series: Object.entries({
    ...old,
    [series('tokenweir.ledger.dropped', of)]: '0x5 3x100',
    [series('tokenweir.spool.dropped', { ...of, signal: '="traces"', reason: '="age"' })]: '_x10 2x100',
  }).map(([selector, values]) => ({ series: selector, values })),
  promql_expr_test: [
    {
      expr: `sum by (what) (sum_over_time(${recordName('tokenweir.lost')}[1h]))`,
      eval_time: '20m',
      exp_samples: [
        { labels: '{what="ledger rows"}', value: 3 },
        { labels: '{what="spans and log records"}', value: 2 },
      ],
    },
  ],
}

const health = {
  name: 'health is not known without a sidecar, 0 while nothing fires, else the number of alerts',
  interval: '1m',
  input_series: [
    { series: started, values: '_x5 0x60' },
    { series: series('tokenweir.ledger.writable', of), values: '_x5 1x20 0x20 1x60' },
  ],
  promql_expr_test: [['3m'], ['20m', 0], ['35m', 1], ['60m', 0]].map(([time, ...values]) => ({
    expr: alertsFiring,
    eval_time: time,
    exp_samples: values.map((value) => ({ labels: '{}', value })),
  })),
}
