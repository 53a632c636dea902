/** The configuration in effect as YAML that can be read back, with where each value comes from as comments. */

import { writtenAddress, writtenUpstream } from './address.ts'
import { writtenSources } from './caller.ts'
import type { Config, ModelPrice, Route } from './config.ts'
import { writtenLabels } from './labels.ts'

/** A setting as one line: its dotted key, its indent, its text. */
interface Line {
  readonly key: string
  readonly text: string
}

/** `dim` paints the comments; plain text where there are no colours. */
export function describeConfig(
  config: Config,
  origins: ReadonlyMap<string, string>,
  paint: { readonly dim: (text: string) => string },
): string {
  const simple: Line[] = [
    { key: 'listen', text: `listen: ${scalar(writtenAddress(config.listen))}` },
    ...(config.tls === undefined ? [] : [{ key: 'tls', text: `tls: ${flow(config.tls)}` }]),
    ...(config.listeners.length === 0
      ? []
      : [
          {
            key: 'listeners',
            text: `listeners: ${flow(config.listeners.map((one) => ({ ...one, address: writtenAddress(one.address) })))}`,
          },
        ]),
    { key: 'admin', text: `admin: ${scalar(writtenAddress(config.admin))}` },
    ...(config.adminTls === undefined ? [] : [{ key: 'adminTls', text: `adminTls: ${flow(config.adminTls)}` }]),
    { key: 'ledger', text: `ledger: ${scalar(config.ledger)}` },
    { key: 'capture', text: `capture: ${config.capture}` },
    { key: 'requestIdHeader', text: `requestIdHeader: ${config.requestIdHeader}` },
    { key: 'logFormat', text: `logFormat: ${config.logFormat}` },
    { key: 'semconv', text: `semconv: ${scalar(config.semconv)}` },
    { key: 'trace', text: `trace: ${config.trace}` },
    { key: 'caller', text: `caller: ${flow(writtenSources(config.caller))}` },
    ...(Object.keys(config.callerNames).length === 0
      ? []
      : [{ key: 'callerNames', text: `callerNames: ${JSON.stringify(config.callerNames)}` }]),
    ...(config.callerNamesFile === undefined
      ? []
      : [{ key: 'callerNamesFile', text: `callerNamesFile: ${scalar(config.callerNamesFile)}` }]),
    { key: 'labels', text: `labels: ${flow(writtenLabels(config.labels))}` },
  ]
  const lines: Line[] = [
    ...simple,
    ...routeLines(config.routes),
    ...ruleLines(config.providers),
    ...sectionLines('timeouts', config.timeouts),
    ...sectionLines('limits', config.limits),
    ...sectionLines('retention', config.retention),
    ...priceLines(config.prices),
    { key: 'budgets', text: `budgets: ${JSON.stringify(config.budgets)}` },
    ...sectionLines('estimates', config.estimates),
    // Never shown, not even in part: as a comment it is no setting that could be read back.
    ...(config.adminToken === undefined ? [] : [{ key: 'adminToken', text: '# adminToken: (not shown)' }]),
    ...(config.traceUrl === undefined ? [] : [{ key: 'traceUrl', text: `traceUrl: ${scalar(config.traceUrl)}` }]),
  ]
  const width = Math.max(...lines.map(({ key, text }) => (key === '' ? 0 : text.length)))
  return lines
    .map(({ key, text }) => (key === '' ? text : `${text.padEnd(width)}  ${paint.dim(`# ${origins.get(key) ?? 'default'}`)}`))
    .map((line) => `${line}\n`)
    .join('')
}

function routeLines(routes: readonly Route[]): Line[] {
  const texts = routes.flatMap((route) => [
    `  - name: ${scalar(route.name)}`,
    `    prefix: ${scalar(route.prefix)}`,
    `    stripPrefix: ${route.stripPrefix}`,
    `    upstream: ${scalar(writtenUpstream(route.upstream))}`,
    ...(route.provider === undefined ? [] : [`    provider: ${scalar(route.provider)}`]),
    `    disconnect: ${route.disconnect}`,
    `    host: ${scalar(typeof route.host === 'string' ? route.host : route.host.literal)}`,
    `    trace: ${route.trace}`,
    ...(route.when === undefined ? [] : [`    when: ${flow(route.when)}`]),
    ...(route.tls === undefined ? [] : [`    tls: ${flow(route.tls)}`]),
    ...(route.http2 === true ? ['    http2: true'] : []),
    ...(route.probe === undefined ? [] : [`    probe: ${flow(route.probe)}`]),
    ...wayLine(route),
  ])
  return ['routes:', ...texts].map((text) => ({ key: '', text }))
}

/** How the upstream is reached, where the environment names a forward proxy. Its credentials are not shown. */
function wayLine({ proxy }: Route): string[] {
  if (proxy === undefined) return []
  if (proxy === 'none') return ['    # reached directly']
  return [`    # reached through the proxy ${proxy.origin}${proxy.authorization === undefined ? '' : ', with credentials (not shown)'}`]
}

function ruleLines(rules: Config['providers']): Line[] {
  if (rules.length === 0) return []
  const texts = rules.flatMap(({ provider, when }) => [`  - provider: ${scalar(provider)}`, `    when: ${flow(when)}`])
  return ['providers:', ...texts].map((text) => ({ key: '', text }))
}

/** A mapping in one line: JSON is YAML too. */
function flow(value: string | object): string {
  return typeof value === 'string' ? scalar(value) : JSON.stringify(value)
}

function priceLines(prices: readonly ModelPrice[]): Line[] {
  if (prices.length === 0) return [{ key: 'prices', text: 'prices: []' }]
  const texts = prices.flatMap(({ provider, model, free, tier, from, until, ...amounts }) => [
    `  - model: ${scalar(model)}`,
    ...(provider === undefined ? [] : [`    provider: ${scalar(provider)}`]),
    ...(free ? ['    free: true'] : []),
    ...(tier === undefined ? [] : [`    tier: ${tier}`]),
    ...Object.entries({ from, until }).flatMap(([part, ms]) => (ms === undefined ? [] : [`    ${part}: ${new Date(ms).toISOString()}`])),
    ...Object.entries(amounts).flatMap(([part, usd]) => (usd === undefined ? [] : [`    ${part}: ${usd}`])),
  ])
  return ['prices:', ...texts].map((text) => ({ key: '', text }))
}

function sectionLines(name: string, section: Readonly<Record<string, number | boolean>>): Line[] {
  const inner = Object.entries(section).map(([key, value]) => ({ key: `${name}.${key}`, text: `  ${key}: ${value}` }))
  return [{ key: '', text: `${name}:` }, ...inner]
}

/** Plain where every YAML, 1.1 too (`yes` is true there), reads it back as the same text; quoted otherwise. */
function scalar(text: string): string {
  const plain = /^[a-z/.][\w./-]*(:\/\/[\w./:-]+)?$/i.test(text) || /^\d+\.\d+\.\d+\.\d+:\d+$/.test(text)
  return plain && !/^(true|false|null|y|n|yes|no|on|off|\.(nan|inf))$/i.test(text) ? text : JSON.stringify(text)
}
