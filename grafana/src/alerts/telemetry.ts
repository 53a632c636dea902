/** Whether what was recorded arrives, and whether anything is being recorded. */
import { duration, type Metric, max, series } from '../promql.ts'
import type { Alert, Making } from './alert.ts'

/** Records given up at a limit, by what they are. */
const lost: readonly (readonly [Metric, string])[] = [
  ['tokenweir.exchanges.dropped', 'requests'],
  ['tokenweir.ledger.dropped', 'ledger rows'],
  ['tokenweir.spool.dropped', 'spans or log records'],
  ['tokenweir.log.dropped', 'log lines'],
]
/** Faults of our own, each survived. */
const faults: readonly (readonly [Metric, string])[] = [
  ['tokenweir.observer.failures', 'observations failed'],
  ['tokenweir.sink.failures', 'batches were refused by a sink'],
  ['tokenweir.recorder.restarts', 'restarts of the recorder'],
]

const shortName = (name: Metric) => name.slice('tokenweir.'.length).replaceAll('.', '_')

export function telemetryAlerts({ counts, seconds }: Making): Alert[] {
  const window = seconds(900)
  const where = 'of {{ $labels.instance }}'
  const seen = (counters: typeof lost) =>
    counters
      .map(
        ([name, what]) => `label_replace(${counts.of(shortName(name), series(name), window, 'instance')} > 0, "what", "${what}", "", "")`,
      )
      .join('\nor ')
  const exports = (name: 'tokenweir.spool.failures' | 'tokenweir.spool.delivered') =>
    `(${counts.of(shortName(name), series(name), window, 'instance', 'signal')} > 0)`
  return [
    {
      name: 'TelemetryDelayed',
      severity: 'ticket',
      expr: `${max(series('tokenweir.spool.oldest_age'), 'instance', 'signal')} > ${seconds(600)}`,
      forSeconds: seconds(300),
      keepSeconds: seconds(300),
      summary: `The oldest {{ $labels.signal }} ${where} wait for the collector for {{ $value | humanizeDuration }}`,
      impact: 'Traces and logs are late. Nothing is lost before the spool reaches its limit of age or size.',
      firstSteps:
        'Is the collector up, and does it take what is sent (its own log, its queues)? The sidecar says on stderr why an export failed.',
      dashboard: 'sidecar',
    },
    {
      name: 'TelemetryQueueStuck',
      severity: 'page',
      expr: `${exports('tokenweir.spool.failures')}\nunless on (instance, signal) ${exports('tokenweir.spool.delivered')}\nand on (instance, signal) (${max(series('tokenweir.spool.depth'), 'instance', 'signal')} > 0)`,
      forSeconds: seconds(900),
      keepSeconds: seconds(300),
      summary: `No {{ $labels.signal }} ${where} have been delivered, and {{ $value | printf "%.0f" }} exports failed`,
      impact: 'Traces or logs do not arrive at all. At its limit of age or size the spool drops the oldest.',
      firstSteps:
        'Is the collector up and reachable from the sidecar? Are endpoint, certificate and token right? The sidecar says on stderr why an export failed.',
      dashboard: 'sidecar',
    },
    {
      name: 'TelemetryLost',
      severity: 'page',
      expr: seen(lost),
      forSeconds: 0,
      keepSeconds: seconds(1800),
      summary: `{{ $value | printf "%.0f" }} {{ $labels.what }} ${where} were given up`,
      impact: 'These records will not come back: totals made of them are too low.',
      firstSteps:
        'Which limit was hit (the dashboard tells the reason)? Spans: the collector was away for too long, or refuses them. Rows: the disk. Requests: the recorder cannot keep up.',
      dashboard: 'sidecar',
    },
    {
      name: 'RecordingFaults',
      severity: 'ticket',
      expr: seen(faults),
      forSeconds: 0,
      keepSeconds: seconds(1800),
      summary: `{{ $value | printf "%.0f" }} {{ $labels.what }} ${where}`,
      impact: 'Requests went through untouched, but some records may be thinner than they should be. It is a fault of tokenweir.',
      firstSteps: 'Read the sidecar on stderr, and report what it says.',
      dashboard: 'sidecar',
    },
    {
      name: 'LedgerUnwritable',
      severity: 'page',
      expr: `max_over_time(${series('tokenweir.ledger.writable')}[${duration(seconds(120))}]) == 0`,
      forSeconds: seconds(60),
      keepSeconds: seconds(300),
      summary: `The ledger ${where} cannot be written`,
      impact: 'Requests go on. Rows wait in memory, up to a limit, then are dropped and counted.',
      firstSteps: 'Is the disk full, or the file system read-only? Free room: the sidecar goes on by itself.',
      dashboard: 'sidecar',
    },
    {
      name: 'LedgerLost',
      severity: 'page',
      expr: `${counts.of('ledger_lost', series('tokenweir.ledger.lost'), window, 'instance', 'reason')} > 0`,
      forSeconds: 0,
      keepSeconds: seconds(1800),
      summary: `The ledger's file ${where} was lost while it was in use ({{ $labels.reason }}), and a new one begun`,
      impact: 'Rows of the lost file are no longer in the ledger, and what of them waited for the collector may be gone.',
      firstSteps:
        'GET /readyz and stderr of the sidecar say which file and how many rows. Who removes, moves or writes it (a backup, a log rotation, a volume that goes away)? Stop the sidecar before touching the file.',
      dashboard: 'sidecar',
    },
    {
      name: 'SidecarAbsent',
      severity: 'page',
      expr: `absent_over_time(${series('tokenweir.counters.start_time')}[${duration(seconds(300))}])`,
      forSeconds: seconds(300),
      keepSeconds: 0,
      summary: 'No sidecar reports',
      impact: 'Nothing is measured, and no other alert of tokenweir can fire: silence does not mean that all is well.',
      firstSteps: 'Is a sidecar running (GET /readyz on its admin port)? Then follow its metrics: the collector, its exporter, the scrape.',
      dashboard: 'sidecar',
    },
  ]
}
