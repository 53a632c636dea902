/** Where records go, and whether they arrive: ledger, collector, the sidecar itself. */
import { docLink } from './docs.js'
import { bytes, clock, el, name, number, seconds } from './text.js'

/** What waits for longer was not taken at the first attempts. */
const behindSeconds = 15

export function showState(state) {
  const { metrics, ledgerFile } = state
  const sum = (metric, label, value) => {
    const series = metrics[`tokenweir.${metric}`]
    return series?.filter(({ labels }) => label === undefined || labels[label] === value).reduce((total, each) => total + each.value, 0)
  }
  const worst = (metric) => metrics[`tokenweir.${metric}`]?.reduce((most, { value }) => Math.max(most, value), 0)
  document.querySelector('#state').replaceChildren(
    part('Ledger', state.ledgerWritable ? ['good', 'is written'] : ['bad', 'cannot be written'], ledgerDocs(state), [
      ['File', name(state.ledger.split(/[\\/]/).at(-1), { title: state.ledger })],
      ['Rows', `${number(ledgerFile.rows)}, ${bytes(ledgerFile.bytes)}`],
      ['Oldest', ledgerFile.oldestStartedAt === null ? 'none yet' : clock(ledgerFile.oldestStartedAt)],
      ['Waiting', number(sum('ledger.depth'))],
      ['Dropped', lost(sum('ledger.dropped'))],
      ['Failed writes', lost(sum('ledger.failures'))],
      ['Files lost', lost(sum('ledger.lost'))],
      ...state.problems.map((problem) => ['Problem', el('span', { class: 'bad' }, problem)]),
    ]),
    collector(state, sum, worst),
    part('Sidecar', ['good', `version ${state.version}`], docLink('troubleshooting'), [
      ['Running for', seconds(state.uptimeSeconds)],
      ['Usage capture', state.capture],
      ['Routes', state.routes.map(({ name: route }) => route).join(', ')],
      ['Table of prices', state.pricesDate ?? 'none'],
      ['Unread exchanges', lost(sum('exchanges.dropped'))],
      ['Log lines dropped', lost(sum('log.dropped'))],
      ['Sink failures', lost(sum('sink.failures'))],
    ]),
  )
  document.querySelector('#version').textContent = `tokenweir ${state.version}`
}

function collector(state, sum, worst) {
  if (!state.exports) {
    return part('Collector', ['soft', 'none is set up'], docLink('telemetry'), [
      ['To set one up', el('code', {}, 'OTEL_EXPORTER_OTLP_ENDPOINT')],
    ])
  }
  const of = (metric, text) => {
    const value = sum(metric)
    return value === undefined ? undefined : text(value)
  }
  const oldest = worst('spool.oldest_age')
  const isBehind = oldest !== undefined && oldest > behindSeconds
  return part(
    'Collector',
    isBehind ? ['bad', 'does not take them'] : ['good', 'takes them'],
    docLink('ledger', 'what-waits-for-the-collector'),
    [
      ['Waiting', of('spool.depth', number)],
      ['Oldest waits for', oldest === undefined ? undefined : seconds(oldest)],
      ['Spool', of('spool.bytes', bytes)],
      ['Delivered', of('spool.delivered', number)],
      ['Failed attempts', of('spool.failures', lost)],
      ['Dropped', of('spool.dropped', lost)],
    ],
  )
}

function lost(count) {
  return el('span', { class: count > 0 ? 'bad' : '' }, number(count))
}

function ledgerDocs({ ledgerWritable }) {
  return ledgerWritable ? docLink('ledger') : docLink('ledger', 'when-it-cannot-be-written', 'What to do')
}

function part(title, [kind, word], docs, pairs) {
  return el(
    'section',
    { class: 'part' },
    el('h3', {}, title, ' ', el('span', { class: `tag ${kind}` }, word), ' ', docs),
    el(
      'dl',
      { class: 'pairs' },
      ...pairs.filter(([, value]) => value !== undefined).flatMap(([term, value]) => [el('dt', {}, term), el('dd', {}, value)]),
    ),
  )
}
