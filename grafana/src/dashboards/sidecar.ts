import type { Page } from '../layout.ts'
import { calm, heatmapPanel, type PanelBuilder, statPanel, tablePanel, timeSeriesPanel } from '../panels.ts'
import { type Label, labelName, type Metric, max, orZero, rate, sum } from '../promql.ts'
import { inRange, inStep, orNothing, quantile, selected } from '../variables.ts'

const overhead = (
  name: 'tokenweir.overhead.first_byte' | 'tokenweir.overhead.chunk',
  title: string,
  description: string,
): PanelBuilder[] => [
  timeSeriesPanel({
    title: `${title}, quantiles`,
    description: `${description} The target for 99 of 100 is half a millisecond.`,
    unit: 's',
    width: 12,
    lines: true,
    steps: [...calm, [0.0005, 'red']],
    queries: [0.5, 0.99, 0.999].map((share) => ({
      expr: quantile(share, selected(name, {}, 'bucket')),
      legend: `p${share * 100}`,
    })),
  }),
  heatmapPanel({
    title: `${title}, spread`,
    description: `${description} Darker: more of them.`,
    unit: 's',
    width: 12,
    queries: [{ expr: sum(`increase(${selected(name, {}, 'bucket')}[$__rate_interval])`, 'le'), legend: '{{le}}' }],
  }),
]

const reading = (name: Metric, title: string, description: string, unit: string, ...labels: readonly Label[]): PanelBuilder =>
  timeSeriesPanel({
    title,
    description,
    unit,
    width: 8,
    queries: [{ expr: max(selected(name), ...labels), legend: labels.map((label) => `{{${labelName(label)}}}`).join(' ') }],
  })

const writable = selected('tokenweir.ledger.writable')

export const sidecarPage: Page = {
  name: 'sidecar',
  title: 'The sidecar itself',
  description: 'What tokenweir adds to a request, whether its records arrive, and what it needs. Only the instance selects here.',
  rows: [
    {
      title: 'Now',
      panels: [
        statPanel({
          title: 'Sidecars reporting',
          description: 'Instances whose metrics arrive.',
          unit: 'short',
          width: 4,
          queries: [{ expr: `count(${selected('tokenweir.counters.start_time')})`, legend: 'Instances' }],
          steps: [
            [null, 'red'],
            [1, 'green'],
          ],
          noData: 'None: no sidecar reports.',
        }),
        statPanel({
          title: 'Requests open',
          description: 'Requests under way now.',
          unit: 'short',
          width: 4,
          queries: [{ expr: sum(selected('tokenweir.exchanges.open')), legend: 'Open' }],
        }),
        statPanel({
          title: 'Records lost',
          description: 'In the selected time: requests, ledger rows, spans, log records and log lines given up at a limit.',
          unit: 'short',
          width: 4,
          steps: [...calm, [1, 'red']],
          queries: [{ expr: orNothing(inRange('tokenweir.lost')), legend: 'Lost' }],
        }),
        statPanel({
          title: 'Ledgers not writable',
          description: 'Instances whose ledger cannot be written. Requests go on; rows wait, then are dropped and counted.',
          unit: 'short',
          width: 4,
          steps: [...calm, [1, 'red']],
          queries: [{ expr: orZero(`count(${writable} == 0)`), legend: 'Not writable' }],
        }),
        statPanel({
          title: 'Oldest waiting for the collector',
          description: 'Age of the oldest span or log record in a spool. Grows while the collector is away.',
          unit: 's',
          width: 4,
          steps: [...calm, [60, 'yellow'], [600, 'red']],
          queries: [{ expr: max(selected('tokenweir.spool.oldest_age')), legend: 'Age' }],
          noData: 'Nothing is exported over OTLP.',
        }),
        statPanel({
          title: 'Labels that overflowed',
          description: 'In the selected time: values that became "other" because a label had too many.',
          unit: 'short',
          width: 4,
          steps: [...calm, [1, 'yellow']],
          queries: [{ expr: orNothing(inRange('tokenweir.label_overflow')), legend: 'Values' }],
        }),
      ],
    },
    {
      title: 'Settings and certificates',
      panels: [
        statPanel({
          title: 'Last reload refused',
          description: 'Instances whose last reload was refused: the settings from before stay in effect.',
          unit: 'short',
          width: 6,
          steps: [...calm, [1, 'red']],
          queries: [{ expr: orZero(`count(${selected('tokenweir.config.last_reload.successful')} == 0)`), legend: 'Refused' }],
        }),
        tablePanel({
          title: 'Settings in effect',
          description: 'When they were read: at the start, or at the last reload that was not refused.',
          unit: 'dateTimeAsIso',
          width: 9,
          height: 6,
          labels: { instance: 'Instance' },
          queries: [{ expr: `${max(selected('tokenweir.config.last_reload'), 'instance')} * 1000`, legend: 'Read' }],
          noData: 'None: no sidecar reports.',
        }),
        tablePanel({
          title: 'Changed certificates',
          description: 'Since counting began. in_use: changed files were taken into use. refused: they could not be used.',
          unit: 'short',
          width: 9,
          height: 6,
          labels: { instance: 'Instance', state: 'State' },
          queries: [{ expr: max(selected('tokenweir.tls.certificates.changed'), 'instance', 'state'), legend: 'Changes' }],
          noData: 'None: no sidecar reports.',
        }),
      ],
    },
    {
      title: 'What it adds to a request',
      panels: [
        ...overhead(
          'tokenweir.overhead.first_byte',
          'Added before the first byte',
          'From the first bytes of an answer to their hand-over to the client.',
        ),
        ...overhead('tokenweir.overhead.chunk', 'Added to a chunk', 'From a chunk of an answer to its hand-over to the client.'),
      ],
    },
    {
      title: 'What is lost, and what failed',
      panels: [
        timeSeriesPanel({
          title: 'Records lost',
          description: 'Given up at a limit. Should be 0: anything else is an alert.',
          unit: 'short',
          width: 12,
          bars: true,
          queries: [{ expr: orNothing(inStep('tokenweir.lost', {}, 'what'), 'what'), legend: '{{what}}' }],
        }),
        timeSeriesPanel({
          title: 'Failures',
          description: 'Failed writes and exports are tried again; the others were each survived, and tell of a fault of ours.',
          unit: 'short',
          width: 12,
          bars: true,
          queries: [{ expr: orNothing(inStep('tokenweir.faults', {}, 'what'), 'what'), legend: '{{what}}' }],
        }),
      ],
    },
    {
      title: 'Spool: spans and log records on their way to the collector',
      panels: [
        reading('tokenweir.spool.depth', 'Waiting', 'Records that wait for the collector.', 'short', 'instance', 'signal'),
        reading('tokenweir.spool.oldest_age', 'Age of the oldest', 'How long the oldest record has waited.', 's', 'instance', 'signal'),
        reading(
          'tokenweir.spool.bytes',
          'Size',
          'Bytes that wait. At the limit the oldest are dropped, and counted.',
          'bytes',
          'instance',
          'signal',
        ),
        timeSeriesPanel({
          title: 'Written and delivered',
          description: 'Records per second. Delivered above written: a backlog is being worked off.',
          unit: 'short',
          width: 12,
          queries: [
            { expr: sum(rate(selected('tokenweir.spool.written')), 'signal'), legend: 'written {{signal}}' },
            { expr: sum(rate(selected('tokenweir.spool.delivered')), 'signal'), legend: 'delivered {{signal}}' },
            { expr: sum(rate(selected('tokenweir.spool.replayed')), 'signal'), legend: 'of an earlier recorder {{signal}}' },
          ],
        }),
        timeSeriesPanel({
          title: 'Dropped, by reason',
          description: 'age, size: at a limit. refused, rejected: the collector would not take them. unwritable: never on disk.',
          unit: 'short',
          width: 12,
          bars: true,
          queries: [
            {
              expr: orNothing(inStep('tokenweir.spool.dropped', {}, 'signal', 'reason'), 'reason'),
              legend: '{{signal}} {{reason}}',
            },
          ],
          noData: 'None was dropped.',
        }),
      ],
    },
    {
      title: 'Ledger',
      panels: [
        reading('tokenweir.ledger.depth', 'Rows waiting', 'Rows that wait to be written.', 'short', 'instance'),
        reading('tokenweir.ledger.bytes', 'Size', "Size of the ledger's file.", 'bytes', 'instance'),
        timeSeriesPanel({
          title: 'Rows written',
          description: 'Rows opened or closed per second, and those removed for their age or for room.',
          unit: 'short',
          width: 8,
          queries: [
            { expr: sum(rate(selected('tokenweir.ledger.written'))), legend: 'written' },
            { expr: sum(rate(selected('tokenweir.ledger.expired'))), legend: 'expired' },
            { expr: sum(rate(selected('tokenweir.ledger.recovered'))), legend: 'recovered after a kill' },
          ],
        }),
      ],
    },
    {
      title: 'What it needs',
      panels: [
        reading(
          'nodejs.eventloop.delay.p99',
          'Event-loop delay of the recorder (p99)',
          'How far behind records can be. It delays no request.',
          's',
          'instance',
        ),
        reading('process.memory.usage', 'Memory', 'Resident memory.', 'bytes', 'instance'),
        timeSeriesPanel({
          title: 'CPU',
          description: 'Cores in use, by instance.',
          unit: 'short',
          width: 8,
          queries: [{ expr: sum(rate(selected('process.cpu.time')), 'instance'), legend: '{{instance}}' }],
        }),
        reading(
          'tokenweir.exchanges.open',
          'Requests open',
          'Requests under way. A line that never comes down would be a leak.',
          'short',
          'instance',
        ),
        reading(
          'nodejs.eventloop.delay.max',
          'Event-loop delay of the recorder (longest)',
          'Longest since the reading before.',
          's',
          'instance',
        ),
        timeSeriesPanel({
          title: 'Labels that overflowed',
          description: 'Values per second that became "other", by label.',
          unit: 'short',
          width: 8,
          queries: [{ expr: sum(rate(selected('tokenweir.label_overflow')), 'label'), legend: '{{label}}' }],
        }),
      ],
    },
  ],
}
