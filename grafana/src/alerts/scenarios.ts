/**
 * What the alerts are to do, as series minute by minute and what fires when: the unit tests that promtool runs. Every scenario names all that
 * fires, so what it does not name does not fire.
 */
import { series } from '../promql.ts'

export interface Scenario {
  readonly name: string
  /** Selector with its labels → samples in promtool's notation, one a minute. */
  readonly series: Readonly<Record<string, string>>
  /** Time → names of the alerts that fire then, each with its number of label sets when that is not 1: `ZeroUsageBurst*2`. */
  readonly firing: Readonly<Record<string, readonly string[]>>
  /** Samples every ten minutes, for what lasts days. */
  readonly long?: true
}

const of = { job: '="tokenweir"', instance: '="a"' } as const
const stream = {
  ...of,
  'gen_ai.operation.name': '="chat"',
  'gen_ai.provider.name': '="openai"',
  'gen_ai.request.model': '="m"',
  'http.route': '="default"',
} as const
const request = { ...of, 'gen_ai.provider.name': '="openai"', 'http.route': '="default"' } as const
const http = { ...of, 'http.request.method': '="POST"', 'url.scheme': '="http"', 'http.route': '="default"' } as const
const gone = '_x20'

/** The sidecar reports for a day, and its ledger is as old as the test: what is in no window before is new. */
const young = { [series('tokenweir.counters.start_time', of)]: '0x300' }
/** Its ledger is older than any window: what a series begins with is no news. */
const old = { [series('tokenweir.counters.start_time', of)]: '-9000000x300' }
const zero = (reason = 'parse_error') => series('tokenweir.streams.zero_usage', { ...stream, reason: `="${reason}"` })
const completed = series('tokenweir.streams.completed', stream)
const ended = (reason: string) => series('tokenweir.requests', { ...request, end_reason: `="${reason}"` })
const status = (code: string) => series('http.server.request.duration', { ...http, 'http.response.status_code': `="${code}"` }, 'count')
const none = (...times: string[]) => Object.fromEntries(times.map((time) => [time, []]))
const same = (names: readonly string[], ...times: string[]) => Object.fromEntries(times.map((time) => [time, names]))

const usage: readonly Scenario[] = [
  {
    name: 'zero usage, burst: fires with the third stream from a cold start, resolves, stays one alert through the gaps between',
    series: {
      ...young,
      [completed]: '_x5 1 2 3 3x14 4 4x14 5 5x1400',
      [zero()]: '_x5 1 2 3 3x14 4 4x14 5 5x1400',
    },
    firing: {
      ...none('4m'),
      '6m': ['ZeroUsageTrickle'],
      // The last of them at 38 minutes, ten minutes of the short window, thirty of keeping on.
      ...same(['ZeroUsageBurst', 'ZeroUsageTrickle'], '9m', '19m', '22m', '24m', '35m', '38m', '60m', '75m'),
      '85m': ['ZeroUsageTrickle'],
    },
  },
  {
    name: 'zero usage, burst: fires when all of it came between two exports, and a series for another reason stands at 0',
    series: { ...young, [completed]: '_x5 5x1490', [zero()]: '_x5 5x1490', [zero('upstream_omitted')]: '_x5 0x1490' },
    firing: { ...none('4m'), ...same(['ZeroUsageBurst', 'ZeroUsageTrickle'], '6m', '40m'), '50m': ['ZeroUsageTrickle'] },
  },
  {
    name: "zero usage, burst: fires for what came before a new sidecar's first export",
    series: {
      [series('tokenweir.counters.start_time', of)]: '_x5 240x60',
      [completed]: '_x5 4x60',
      [zero()]: '_x5 4x60',
    },
    firing: { ...none('4m'), ...same(['ZeroUsageBurst', 'ZeroUsageTrickle'], '6m', '20m') },
  },
  {
    name: 'zero usage, burst: each reason is an alert, the conditions are of all of them together',
    series: { ...young, [completed]: '_x5 4x100', [zero()]: '_x5 2x100', [zero('upstream_omitted')]: '_x5 2x100' },
    firing: { '7m': ['ZeroUsageBurst*2', 'ZeroUsageTrickle*2'] },
  },
  {
    name: 'zero usage: a new Prometheus does not take old counts for news',
    series: { ...old, [completed]: '1000x1500', [zero()]: '500x300' },
    firing: none('0m', '1m', '30m', '70m'),
  },
  {
    name: 'zero usage: a sidecar that comes back after a night with the counts it had fires nothing but its absence',
    long: true,
    series: {
      [series('tokenweir.counters.start_time', of)]: '-9000000x12 _x48 -9000000x60',
      [completed]: '1000x12 _x48 1000x60',
      [zero()]: '500x12 _x48 500x60',
    },
    firing: { ...none('60m', '120m'), '300m': ['SidecarAbsent'], ...none('610m', '700m', '1000m') },
  },
  {
    name: 'zero usage: what happened while Prometheus was away is seen when it is back',
    series: {
      [series('tokenweir.counters.start_time', of)]: '-9000000x60 _x8 -9000000x200',
      [completed]: '1000x60 _x8 1010x200',
      [zero()]: '500x60 _x8 505x200',
    },
    firing: { ...none('59m'), ...same(['ZeroUsageBurst', 'ZeroUsageTrickle'], '71m', '80m') },
  },
  {
    name: 'zero usage: two streams are no burst, however few there are; they are a ticket',
    series: { ...young, [completed]: '_x5 2x100', [zero()]: '_x5 2x100' },
    firing: { '7m': ['ZeroUsageTrickle'], '30m': ['ZeroUsageTrickle'] },
  },
  {
    name: 'zero usage: one stream in a hundred or fewer is neither',
    series: { ...young, [completed]: '0+10x100', [zero()]: '0x10 1x10 2x10 3x80' },
    firing: none('60m', '100m'),
  },
  {
    name: 'zero usage, trickle: the second among a hundred fires it without a page, and it lasts through the hours between',
    long: true,
    series: { ...old, [completed]: '1000x1 1100x170', [zero()]: '100x1 101x20 102x20 103x130' },
    firing: { ...none('10m', '120m'), ...same(['ZeroUsageTrickle'], '250m', '600m', '1200m', '1440m'), ...none('1700m') },
  },
  {
    name: 'clients that leave fire nothing',
    series: {
      ...young,
      [ended('client-aborted')]: '0+10x120',
      [ended('completed')]: '0+1x120',
      [status('200')]: '0+11x120',
      [completed]: '0+1x120',
      [zero()]: '0x120',
    },
    firing: none('10m', '60m'),
  },
]

const cost = (price: string) =>
  series('tokenweir.cost.requests', { ...of, 'gen_ai.provider.name': '="openai"', price_status: `="${price}"` })

const prices: readonly Scenario[] = [
  {
    name: 'unpriced traffic: fires when more than one in twenty has no price, and resolves a day after it has one',
    long: true,
    series: { ...young, [cost('unpriced')]: '0+10x6 60x200', [cost('priced')]: '0+20x206' },
    firing: { ...none('10m'), '60m': ['UnpricedTraffic'], '120m': ['UnpricedTraffic'], ...none('1700m') },
  },
  {
    name: 'unpriced traffic: a handful of requests is none',
    series: { ...young, [cost('unpriced')]: '0 5x120', [cost('priced')]: '0x120' },
    firing: none('60m'),
  },
]

const errors: readonly Scenario[] = [
  {
    name: 'error burn: a third of the requests fails: a page within minutes, gone soon after it ends, the ticket later',
    series: { ...young, [ended('completed')]: '0+30x1500', [status('200')]: '0+20x30 600+30x1400', [status('503')]: '0+10x30 300x1400' },
    firing: {
      '0m': [],
      '10m': ['ErrorBurnFast', 'ErrorBurnSlow'],
      '30m': ['ErrorBurnFast', 'ErrorBurnSlow'],
      '45m': ['ErrorBurnSlow'],
      ...none('95m'),
    },
  },
  {
    name: 'error burn: one in twelve is a ticket, not a page',
    series: { ...old, [ended('completed')]: '0+12x400', [status('200')]: '0+11x400', [status('500')]: '0+1x400' },
    firing: { '40m': ['ErrorBurnSlow'], '60m': ['ErrorBurnSlow'] },
  },
  {
    name: 'error burn: at low traffic a few failures fire nothing, nor do refusals of 4xx',
    series: { ...young, [ended('completed')]: '0 8x100', [status('500')]: '0 8x100', [status('400')]: '0+50x100' },
    firing: none('5m', '60m'),
  },
  {
    name: 'error burn: from a cold start, all before the first export',
    series: { ...young, [ended('unreachable')]: '_x3 40x100', [status('502')]: '_x3 40x100' },
    firing: { ...none('2m'), '4m': ['ErrorBurnFast', 'ErrorBurnSlow'], '20m': ['ErrorBurnSlow'] },
  },
]

const otherProvider = series('tokenweir.requests', { ...request, 'gen_ai.provider.name': '="anthropic"', end_reason: '="completed"' })
const cuts: readonly Scenario[] = [
  {
    name: 'cut streams: of one provider among two fire, are kept through a pause, resolve',
    series: {
      ...old,
      [otherProvider]: '0+50x200',
      [ended('completed')]: '0+10x200',
      [ended('upstream-aborted')]: '0x10 0+3x10 30x12 30+3x5 45x200',
    },
    firing: { ...none('9m'), ...same(['CutStreams'], '18m', '25m', '33m', '40m', '50m'), ...none('85m') },
  },
  {
    name: 'cut streams: four are too few to wake anybody',
    series: { ...young, [ended('completed')]: '0 10x100', [ended('upstream-aborted')]: '0 4x100' },
    firing: none('5m', '60m'),
  },
]

const firstChunk = (le: string) =>
  series('gen_ai.client.operation.time_to_first_chunk', { ...of, 'gen_ai.provider.name': '="openai"', le: `="${le}"` }, 'bucket')
const begun = series('gen_ai.client.operation.time_to_first_chunk', { ...of, 'gen_ai.provider.name': '="openai"' }, 'count')
const slow: readonly Scenario[] = [
  {
    name: 'slow first chunk: fires when it lasts, and resolves when streams are fast again',
    series: {
      ...old,
      [firstChunk('5.12')]: '0+1x60 60+5x140',
      [firstChunk('20.48')]: '0+5x200',
      [firstChunk('+Inf')]: '0+5x200',
      [begun]: '0+5x200',
    },
    firing: { ...none('4m'), '20m': ['SlowFirstChunk'], '60m': ['SlowFirstChunk'], ...none('110m') },
  },
  {
    name: 'slow first chunk: a few slow streams at night are nothing',
    series: {
      ...young,
      [firstChunk('5.12')]: '0x100',
      [firstChunk('20.48')]: '0+0x50 10x50',
      [firstChunk('+Inf')]: '0x50 10x50',
      [begun]: '0x50 10x50',
    },
    firing: none('60m', '99m'),
  },
]

const budgetOf = (name: 'limit' | 'spent' | 'forecast', instance = 'a') =>
  series(`tokenweir.budget.${name}`, { ...of, instance: `="${instance}"`, budget: '="search"', period: '="month"', budget_unit: '="usd"' })
const budgets: readonly Scenario[] = [
  {
    name: 'budget: near at 80 %, exceeded at 100 %, gone with the next period',
    series: { ...old, [budgetOf('limit')]: '100x100', [budgetOf('spent')]: '79x10 80x20 100x20 0x50' },
    firing: { ...none('9m'), '15m': ['BudgetNear'], '29m': ['BudgetNear'], '40m': ['BudgetExceeded'], ...none('60m') },
  },
  {
    name: 'budget: two sidecars spend it together',
    series: {
      ...old,
      ...Object.fromEntries(
        ['a', 'b'].flatMap((one) => [
          [budgetOf('limit', one), '100x20'],
          [budgetOf('spent', one), '45x20'],
        ]),
      ),
    },
    firing: { '10m': ['BudgetNear'] },
  },
  {
    name: 'budget: a forecast beyond it must last an hour',
    series: { ...old, [budgetOf('limit')]: '100x200', [budgetOf('spent')]: '10x200', [budgetOf('forecast')]: '120x30 90x10 120x160' },
    firing: { ...none('30m', '65m', '95m'), '110m': ['BudgetForecast'] },
  },
]

const limited = (name: 'limit' | 'remaining', kind: string) =>
  series(`tokenweir.ratelimit.${name}`, { ...of, 'gen_ai.provider.name': '="openai"', rate_limit: `="${kind}"`, caller: '="search"' })
const limits: readonly Scenario[] = [
  {
    name: 'rate limit: fires when less than a tenth is left for five minutes, of each kind, and resolves',
    series: {
      ...old,
      [limited('limit', 'tokens')]: '30000x100',
      [limited('remaining', 'tokens')]: '30000x10 2000x20 29000x70',
      [limited('limit', 'requests')]: '1000x100',
      [limited('remaining', 'requests')]: '1000x10 100x20 1000x70',
    },
    firing: { ...none('10m', '15m'), '20m': ['RateLimitNear'], '34m': ['RateLimitNear'], ...none('40m') },
  },
  {
    name: 'rate limit: a limit of a few requests, and what is left of a limit that nobody told, are nothing',
    series: {
      ...old,
      [limited('limit', 'requests')]: '1x60',
      [limited('remaining', 'requests')]: '0x60',
      [limited('remaining', 'tokens')]: '0x60',
    },
    firing: none('30m', '60m'),
  },
]

const upstream = { ...of, upstream: '="gateway:8000"' } as const
const lastSuccess = series('tokenweir.upstream.last_success', upstream)
const failures = (reason: string) => series('tokenweir.upstream.failures', { ...upstream, reason: `="${reason}"` })
const probes = (result: string) => series('tokenweir.upstream.probes', { ...upstream, result: `="${result}"` })
const upstreams: readonly Scenario[] = [
  {
    name: 'upstream: fires five minutes after the last success, for each reason, and resolves with the next success',
    series: {
      ...old,
      [lastSuccess]: '0+60x20 1200x20 2460+60x60',
      [failures('refused')]: '0x20 0+2x20 40x60',
      [failures('timeout')]: '_x30 1x70',
      [failures('5xx')]: '4x100',
    },
    firing: { ...none('20m', '24m'), '27m': ['UpstreamFailing'], '32m': ['UpstreamFailing*2'], ...none('55m') },
  },
  {
    name: 'upstream: one that fails half of the requests is not down',
    series: { ...old, [lastSuccess]: '0+60x60', [failures('5xx')]: '0+5x60' },
    firing: none('10m', '30m', '60m'),
  },
  {
    name: 'upstream: four failures at night, with no other request, wake nobody',
    series: { ...old, [lastSuccess]: '0x60', [failures('5xx')]: '0x20 4x40' },
    firing: none('22m', '40m'),
  },
  {
    name: 'upstream: one that never succeeded fires from a cold start',
    series: { ...young, [failures('dns')]: '_x3 6x60' },
    firing: { ...none('2m'), '5m': ['UpstreamFailing'], ...none('20m') },
  },
  {
    name: 'upstream: failed probes fire without any request, and are added to the requests that failed',
    series: {
      ...old,
      [probes('success')]: '0+2x20 40x40',
      [probes('refused')]: '0x20 0+1x40',
      [failures('refused')]: '0x25 1x35',
    },
    firing: { ...none('20m', '23m'), '27m': ['UpstreamFailing'], '50m': ['UpstreamFailing'] },
  },
]

const settings: readonly Scenario[] = [
  {
    name: 'reload: a refused one fires until the settings are read without a mistake',
    series: { ...old, [series('tokenweir.config.last_reload.successful', of)]: '1x10 0x20 1x30' },
    firing: { ...none('10m', '12m'), ...same(['ReloadRefused'], '15m', '30m'), ...none('32m') },
  },
  {
    name: 'certificates: files that cannot be used fire, those that are taken do not',
    series: {
      ...old,
      [series('tokenweir.tls.certificates.changed', { ...of, state: '="in_use"' })]: '0x5 1x115',
      [series('tokenweir.tls.certificates.changed', { ...of, state: '="refused"' })]: '0x20 1x100',
    },
    firing: { ...none('10m', '19m'), ...same(['CertificatesRefused'], '22m', '60m'), ...none('80m') },
  },
]

const spool = (name: 'depth' | 'oldest_age' | 'failures' | 'delivered') => series(`tokenweir.spool.${name}`, { ...of, signal: '="traces"' })
const telemetry: readonly Scenario[] = [
  {
    name: 'telemetry: the collector is away for forty minutes, then back',
    series: {
      ...old,
      [spool('oldest_age')]: '0x10 0+60x40 0x200',
      [spool('depth')]: '0x10 0+100x40 0x200',
      [spool('failures')]: '5x10 5+2x40 85x200',
      [spool('delivered')]: '0+100x10 1000x40 5000+100x200',
    },
    firing: {
      ...none('10m', '20m'),
      '30m': ['TelemetryDelayed'],
      '48m': ['TelemetryDelayed', 'TelemetryQueueStuck'],
      ...none('65m'),
    },
  },
  {
    name: 'telemetry: an export that fails now and then, and is sent again, is nothing',
    series: {
      ...old,
      [spool('oldest_age')]: '5x100',
      [spool('depth')]: '10x100',
      [spool('failures')]: '0+1x100',
      [spool('delivered')]: '0+100x100',
    },
    firing: none('30m', '99m'),
  },
  {
    name: 'telemetry: one dropped record fires, though its series begins with it',
    series: {
      ...old,
      [series('tokenweir.spool.dropped', { ...of, signal: '="traces"', reason: '="age"' })]: '_x20 1x200',
      [series('tokenweir.ledger.dropped', of)]: '0x200',
    },
    firing: { ...none('19m'), ...same(['TelemetryLost'], '21m', '35m', '60m'), ...none('70m') },
  },
  {
    name: 'telemetry: each kind of record that is lost is an alert',
    series: {
      ...old,
      [series('tokenweir.exchanges.dropped', { ...of, reason: '="recorder_behind"' })]: '0x20 3x50',
      [series('tokenweir.ledger.dropped', of)]: '0x20 3x50',
      [series('tokenweir.log.dropped', of)]: '0x20 3x50',
    },
    firing: { ...none('19m'), '22m': ['TelemetryLost*3'] },
  },
  {
    name: 'faults of the recorder are a ticket',
    series: {
      ...old,
      [series('tokenweir.recorder.restarts', of)]: '0x20 1x100',
      [series('tokenweir.sink.failures', { ...of, sink: '="log"' })]: '0x100',
    },
    firing: { ...none('19m'), '22m': ['RecordingFaults'], ...none('80m') },
  },
  {
    name: 'ledger: one that cannot be written fires; one that falters for a reading does not',
    series: { ...old, [series('tokenweir.ledger.writable', of)]: '1x10 0 1x10 0x10 1x60' },
    firing: { ...none('10m', '12m', '13m'), '27m': ['LedgerUnwritable'], ...none('50m') },
  },
  {
    name: 'ledger: a file that was lost while it was in use fires',
    series: {
      ...old,
      [series('tokenweir.ledger.lost', { ...of, reason: '="removed"' })]: '0x20 1x100',
      [series('tokenweir.ledger.lost', { ...of, reason: '="damaged"' })]: '0x100',
    },
    firing: { ...none('19m'), ...same(['LedgerLost'], '22m', '60m'), ...none('80m') },
  },
  {
    name: 'sidecar: absent fires after ten minutes, not at the start of Prometheus, and resolves with the first report',
    series: { [series('tokenweir.counters.start_time', of)]: '_x3 100x20 _x30 100x60' },
    firing: { ...none('0m', '3m', '10m', '25m'), '40m': ['SidecarAbsent'], ...none('55m', '100m') },
  },
  {
    name: 'sidecar: where none ever was, it fires',
    series: { [series('tokenweir.counters.start_time', of)]: gone },
    firing: { ...none('4m'), '8m': ['SidecarAbsent'] },
  },
]

export const scenarios: readonly Scenario[] = [
  ...usage,
  ...prices,
  ...errors,
  ...cuts,
  ...slow,
  ...limits,
  ...budgets,
  ...upstreams,
  ...settings,
  ...telemetry,
]

/** A file for `promtool test rules`, of the long scenarios or the others. `ruleFile` is its path from there. */
export function ruleTests(ruleFile: string, long = false) {
  const interval = long ? '10m' : '1m'
  return {
    rule_files: [ruleFile],
    evaluation_interval: interval,
    tests: scenarios.filter((scenario) => (scenario.long === true) === long).map((scenario) => testOf(scenario, interval)),
  }
}

function testOf({ name, series: given, firing }: Scenario, interval: string) {
  return {
    name,
    interval,
    input_series: Object.entries(given).map(([selector, values]) => ({ series: selector, values })),
    promql_expr_test: Object.entries(firing).map(([time, names]) => ({
      expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
      eval_time: time,
      exp_samples: names.map((written) => {
        const [alert, count = '1'] = written.split('*')
        return { labels: `{alertname="Tokenweir${alert}"}`, value: Number(count) }
      }),
    })),
  }
}
