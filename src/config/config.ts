/**
 * The effective configuration, and how it is read: a flag overrides a variable, a variable the file, the file the default.
 * `config/schema.ts` has every setting with its default; `config/values.ts` reads the single values.
 */

import type { Period } from '../lib/period.ts'
import { type Address, socketPathOf } from './address.ts'
import type { BudgetWhere } from './budgets.ts'
import { type CallerSource, readKeyFiles } from './caller.ts'
import { type AdminTls, type ListenTls, type PemError, type PemFiles, readPem, type UpstreamTls } from './certificates.ts'
import { type ConfigError, type ConfigFile, type KeyPath, readConfigFile, reservedKeys } from './file.ts'
import { type ForwardProxy, ForwardProxyError, forwardProxyOf } from './forward-proxy.ts'
import { type Label, mapFileParser } from './labels.ts'
import { parsePriceFile } from './price-file.ts'
import { byPrecedence, covers, type Routable, type RouteCondition } from './routing.ts'
import { readSettings, type Settings, settings } from './schema.ts'
import { nearest } from './values.ts'

/** Where else clients connect. */
export interface MoreListening {
  readonly address: Address
  readonly tls?: ListenTls | undefined
}

/**
 * How our span relates to the caller's: its child; in a new trace with a link to it; or its child without usage, because the caller is
 * instrumented itself and reports that.
 */
export type TraceMode = 'child' | 'link' | 'no-usage'

export interface Route {
  /** A metric label and ledger value: short, stable. The route that needs no file is `default`. */
  readonly name: string
  /** Path prefix, matched at a `/` boundary. `/` matches everything. Which route a request takes is in `routing.ts`. */
  readonly prefix: string
  /** Take the prefix away before the upstream's base path is put in front. */
  readonly stripPrefix: boolean
  /** http or https, host (IPv6 in brackets), optional port and base path; or `http+unix` with the path of a socket as its host. No credentials, no query. */
  readonly upstream: URL
  /** The provider of every request of this route; no attribution rule is asked. */
  readonly provider: string | undefined
  /** The `Host` header sent to the upstream. `upstream`: the upstream's host and port (default). `client`: what the client sent. Any other text: that text. */
  readonly host: 'upstream' | 'client' | { readonly literal: string }
  /** When a client disconnects, `cancel` ends the upstream request at once; `drain` reads on, up to `drainMs` and `drainBytes`, to see the usage. */
  readonly disconnect: 'cancel' | 'drain'
  readonly trace: TraceMode
  /** What a request must have beside the prefix. */
  readonly when?: RouteCondition | undefined
  /** HTTP/2 towards an upstream that offers it. */
  readonly http2?: boolean | undefined
  /** A request to the upstream every so often, to know whether it answers. */
  readonly probe?: { readonly path: string; readonly everyMs: number } | undefined
  readonly tls?: UpstreamTls | undefined
  /** The forward proxy on the way to the upstream; `none` where the environment names one that is not for this upstream. */
  readonly proxy?: ForwardProxy | 'none'
}

/** One of the operator's own attribution rules: everything that `when` names must hold. Patterns are those of `lib/wildcard`. */
export interface OwnRule {
  readonly provider: string
  readonly when: {
    /** A header of the response, or else of the request. Without `value` any value matches. */
    readonly header?: { readonly name: string; readonly value?: string | undefined } | undefined
    /** The upstream's host, without port; case does not matter. */
    readonly host?: string | undefined
    /** The path as the client sent it, without the query. */
    readonly path?: string | undefined
    /** The requested model, or else the model that responded. */
    readonly model?: string | undefined
  }
}

export interface Config {
  readonly listen: Address
  /** Of `listen`. Without it, clients speak plain HTTP. */
  readonly tls?: ListenTls | undefined
  readonly listeners: readonly MoreListening[]
  readonly admin: Address
  /** Of `admin`. Without it, plain HTTP is spoken there. */
  readonly adminTls?: AdminTls | undefined
  /** Without a token, the live page and its data are served on a loopback address only. */
  readonly adminToken?: string | undefined
  /** The URL of a trace, for links on the page; `{traceId}` is replaced by its id. */
  readonly traceUrl?: string | undefined
  /** Path of the SQLite file. */
  readonly ledger: string
  readonly capture: 'observe' | 'inject'
  /** Responses tell the id of their exchange, unless `capture` is observe. */
  readonly requestIdHeader: boolean
  /** The lines on standard output; `auto` is short on a terminal and JSON everywhere else. */
  readonly logFormat: 'auto' | 'json' | 'short'
  readonly semconv: '1.41' | 'genai'
  /** The default for routes that do not set it. */
  readonly trace: TraceMode
  /** In order of precedence; empty when callers are not identified. */
  readonly caller: readonly CallerSource[]
  /** Readable names by caller, and a file with more of them, which is read again when it changes. */
  readonly callerNames: Readonly<Record<string, string>>
  readonly callerNamesFile?: string | undefined
  /** What requests say of themselves; at most 16. */
  readonly labels: readonly Label[]
  readonly routes: readonly Route[]
  /** Attribution rules of the operator's own, in order. */
  readonly providers: readonly OwnRule[]
  /** All in milliseconds; 0 means without limit. */
  readonly timeouts: {
    readonly connectMs: number
    /** From the request sent to the response head. */
    readonly headMs: number
    /** Between two chunks of a response body. */
    readonly idleMs: number
    /** Without a byte of a request's body that is awaited. */
    readonly clientBodyMs: number
    /** Without the client reading any of what waits for it. */
    readonly clientReadMs: number
    /** After a client has disconnected, with `drain`. */
    readonly drainMs: number
    /** After SIGTERM: how long open exchanges may continue. */
    readonly graceMs: number
    /** After the grace: how long the recorder may take to write and export. */
    readonly flushMs: number
  }
  readonly limits: {
    /** Bytes of a request or response body that are buffered for parsing; a longer body gets the note `limit_hit`. */
    readonly bodyBytes: number
    /** Bytes of all request bodies that are read whole before they are sent on. */
    readonly heldBytes: number
    /** Bytes of one streamed message. */
    readonly messageBytes: number
    /** Bytes read after a client has disconnected, with `drain`. */
    readonly drainBytes: number
    /** Bytes of a request's header section; more is answered 431. */
    readonly headerBytes: number
    /** Distinct values of a metric label such as the model; more become `other`. */
    readonly labelValues: number
  }
  /** How much is stored on disk, and how long; the oldest is deleted first. 0 means no limit. */
  readonly retention: {
    /** How long the ledger stores a row, in days. */
    readonly days: number
    /** How long the ledger stores the totals of a day, in days. */
    readonly rollupDays: number
    /** The size of the ledger file, including the queue for the collector. */
    readonly bytes: number
    /** How much telemetry may wait for the collector. */
    readonly spoolBytes: number
    /** How long telemetry may wait for the collector, in days. */
    readonly spoolDays: number
  }
  /** The operator's own prices, in USD per million tokens; the first that matches is used. */
  readonly prices: readonly ModelPrice[]
  /** A table of prices that overrides the built-in one. */
  readonly pricesFile?: string | undefined
  /** What may be spent; told, never enforced. */
  readonly budgets: readonly Budget[]
  /** Token counts by a tokenizer where the provider reports none. */
  readonly estimates: { readonly enabled: boolean }
}

export interface Budget {
  /** A metric label, unique. */
  readonly name: string
  /** Values by dimension (`provider`, `label:team`): requests that have one of each count; without any, all do. */
  readonly where: BudgetWhere
  readonly period: Period
  /** An IANA name. */
  readonly timeZone: string
  /** At least one of the two. */
  readonly usd?: number | undefined
  readonly tokens?: number | undefined
}

/** The prices that an entry of `prices` may set: USD per million tokens, or per thousand requests or searches. */
export const priceParts = [
  ...(['input', 'output', 'cacheRead', 'cacheWrite', 'cacheWrite1h', 'inputAudio', 'outputAudio'] as const),
  ...(['inputImage', 'outputImage', 'reasoning', 'request', 'search'] as const),
] as const

export interface ModelPrice extends Partial<Readonly<Record<(typeof priceParts)[number], number | undefined>>> {
  /** As in `gen_ai.provider.name`; undefined is every provider. */
  readonly provider?: string | undefined
  /** The model that responded or was requested; `*` matches any characters. */
  readonly model: string
  readonly free: boolean
  /** Conditions: a tier of service, more input tokens than that, a time from and until, in milliseconds since the epoch. */
  readonly tier?: 'batch' | 'flex' | 'priority' | 'fast' | undefined
  readonly above?: number | undefined
  readonly from?: number | undefined
  readonly until?: number | undefined
}

/** The sources of values. Nothing else is read, so the result depends only on these. */
export interface Sources {
  /** Text by setting: `{ listen: '0.0.0.0:4141', config: 'tokenweir.yaml' }`. */
  readonly flags: Readonly<Record<string, string | undefined>>
  readonly env: Readonly<Record<string, string | undefined>>
  /** The text of a file; throws as `fs.readFileSync` does. */
  readonly readFile: (path: string) => string
  /** False for a command that proxies nothing: then a configuration without an upstream is valid and has no routes. */
  readonly upstreamNeeded?: boolean
}

export type { Address, CallerSource, ConfigError }

export type Loaded =
  /** `origins`: the flag, variable or file of each setting that has one; any other setting has its default. */
  { readonly config: Config; readonly origins: ReadonlyMap<string, string> } | { readonly errors: readonly ConfigError[] }

/** Reads, validates and merges all sources. Returns a configuration that can be started, or every error in it. */
export async function loadConfig({ flags, env, readFile, upstreamNeeded = true }: Sources): Promise<Loaded> {
  const errors: ConfigError[] = misspeltVariables(env)
  const given = givenText(flags, env)
  const named = given.get('config')
  const read = named === undefined ? undefined : await readConfigFile(named.text, named.where, readFile)
  const file = read !== undefined && 'place' in read ? read : undefined
  if (read !== undefined && !('place' in read)) errors.push(...read)

  const tree: Record<string, unknown> = { ...file?.data }
  for (const [key, { text }] of given) if (key !== 'config') tree[key] = text
  const whereOf = (path: KeyPath, which: 'key' | 'value' = 'value') => {
    const key = String(path[0])
    return (key === 'config' ? undefined : given.get(key)?.where) ?? file?.place(path, which)
  }

  const { output, faults } = readSettings(tree)
  for (const { path, message, unknownKey } of faults) {
    errors.push({ key: dotted(path), where: whereOf(path, unknownKey ? 'key' : 'value'), message })
  }
  const draft = output as Draft
  for (const { path, message } of contradictions(draft)) errors.push({ key: dotted(path), where: whereOf(path), message })
  const aimless =
    tree['upstream'] === undefined && (tree['routes'] === undefined || (Array.isArray(tree['routes']) && tree['routes'].length === 0))
  if (upstreamNeeded && aimless && (read === undefined || file !== undefined)) errors.push(noUpstream)
  if (errors.length > 0) return { errors }
  const settled = output as Settings
  const keys = readKeyFiles(settled.caller, readFile, (index, message) => {
    const path = ['caller', ...(Array.isArray(tree['caller']) ? [] : ['from']), index, 'jwt', 'jwks']
    return { key: dotted(path), where: whereOf(path), message }
  })
  if (keys.errors.length > 0) return { errors: keys.errors }
  const fault = priceFileFault(settled.pricesFile, readFile)
  if (fault !== undefined) return { errors: [{ key: 'pricesFile', where: whereOf(['pricesFile']), message: fault }] }
  const fileFaults = [...(await mapFileFaults(settled, readFile)), ...pemFaults(settled, readFile)]
  if (fileFaults.length > 0) {
    return { errors: fileFaults.map(({ path, message }) => ({ key: dotted(path), where: whereOf(path), message })) }
  }
  const config = assemble(settled, keys.sources)
  const found = await withProxies(config, env)
  return 'errors' in found ? found : { config: { ...config, ...found }, origins: originsOf(given, file) }
}

/** What is reached over the network, with the forward proxy on the way to it. */
async function withProxies(
  { routes, caller }: Config,
  env: Sources['env'],
): Promise<Pick<Config, 'routes' | 'caller'> | { readonly errors: readonly ConfigError[] }> {
  const errors = new Map<string, ConfigError>()
  async function wayTo(url: URL): Promise<{ proxy?: ForwardProxy | 'none' }> {
    if (socketPathOf(url) !== undefined) return {}
    try {
      const proxy = await forwardProxyOf(url, env)
      return proxy === undefined ? {} : { proxy }
    } catch (error) {
      if (!(error instanceof ForwardProxyError)) throw error
      errors.set(error.key, { key: error.key, where: error.key, message: error.message })
      return {}
    }
  }
  const found = {
    routes: await Promise.all(routes.map(async (route) => ({ ...route, ...(await wayTo(route.upstream)) }))),
    caller: await Promise.all(
      caller.map(async (source) => {
        if (source.kind !== 'jwt' || source.jwks.url === undefined) return source
        return { ...source, jwks: { ...source.jwks, ...(await wayTo(new URL(source.jwks.url))) } }
      }),
    ),
  }
  return errors.size > 0 ? { errors: [...errors.values()] } : found
}

/** Why the table of prices cannot be used; the recorder reads it itself, and again when it changes. */
function priceFileFault(path: string | undefined, readFile: (path: string) => string): string | undefined {
  if (path === undefined) return undefined
  try {
    parsePriceFile(readFile(path))
    return undefined
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return `The table of prices ${JSON.stringify(path)} cannot be used: ${code ?? message}. docs/costs.md has its form.`
  }
}

/** The recorder reads these files itself, and again when they change. */
async function mapFileFaults(
  { labels, callerNamesFile }: Settings,
  readFile: (path: string) => string,
): Promise<{ path: KeyPath; message: string }[]> {
  const named = [
    { path: ['callerNamesFile'], file: callerNamesFile },
    ...labels.map(({ name, mapFile }) => ({ path: ['labels', name, 'mapFile'], file: mapFile })),
  ].filter(({ file }) => file !== undefined)
  if (named.length === 0) return []
  const parse = await mapFileParser()
  return named.flatMap(({ path, file = '' }) => {
    try {
      parse(readFile(file))
      return []
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      return [{ path, message: `The file ${JSON.stringify(file)} cannot be used: ${code ?? message}` }]
    }
  })
}

/** Certificates are read again by those who use them, and when they change. */
function pemFaults(
  { tls, listeners, adminTls, routes }: Settings,
  readFile: (path: string) => string,
): { path: KeyPath; message: string }[] {
  const listening = [{ path: ['tls'] as KeyPath, tls }, ...listeners.map(({ tls }, index) => ({ path: ['listeners', index, 'tls'], tls }))]
  return [
    ...listening.flatMap(({ path, tls }) => (tls === undefined ? [] : pemFault(path, { ...tls, ca: tls.clientCa }, readFile, 'clientCa'))),
    ...(adminTls === undefined ? [] : pemFault(['adminTls'], adminTls, readFile, 'ca')),
    ...routes.flatMap(({ tls }, index) => (tls === undefined ? [] : pemFault(['routes', index, 'tls'], tls, readFile, 'ca'))),
  ]
}

function pemFault(path: KeyPath, files: PemFiles, readFile: (path: string) => string, ca: string): { path: KeyPath; message: string }[] {
  try {
    readPem(files, readFile)
    return []
  } catch (error) {
    const { part, message } = error as PemError
    return [{ path: [...path, part === 'ca' ? ca : part], message }]
  }
}

const noUpstream: ConfigError = {
  key: 'upstream',
  where: undefined,
  message:
    'Nothing says where requests go. Start with the address of your gateway, for example: tokenweir --upstream http://127.0.0.1:8000 ' +
    '(or set TOKENWEIR_UPSTREAM, or write routes in a file and name it with --config).',
}

interface Given {
  readonly text: string
  readonly where: string
}

/** The values of flags and variables; a flag overrides a variable. An empty variable counts as unset, as in OpenTelemetry. */
function givenText(flags: Sources['flags'], env: Sources['env']): ReadonlyMap<string, Given> {
  const given = new Map<string, Given>()
  for (const { key, flag, env: variable } of settings) {
    const fromFlag = flag === undefined ? undefined : flags[key]
    const fromEnv = variable === undefined ? undefined : env[variable]
    if (flag !== undefined && fromFlag !== undefined) given.set(key, { text: fromFlag, where: flag })
    else if (variable !== undefined && fromEnv !== undefined && fromEnv !== '') given.set(key, { text: fromEnv, where: variable })
  }
  return given
}

/** Only near misses: Kubernetes itself sets variables such as TOKENWEIR_SERVICE_HOST beside a service of that name. */
function misspeltVariables(env: Sources['env']): ConfigError[] {
  const known = settings.flatMap((setting) => setting.env ?? [])
  return Object.keys(env).flatMap((name) => {
    if (!name.startsWith('TOKENWEIR_') || known.includes(name)) return []
    if (reservedKeys.has(name.slice('TOKENWEIR_'.length).toLowerCase())) {
      return [{ key: name, where: name, message: 'There is no such variable. Take it away.' }]
    }
    const meant = nearest(name, known)
    return meant === undefined ? [] : [{ key: name, where: name, message: `There is no such variable. Did you mean ${meant}?` }]
  })
}

function dotted(path: KeyPath): string {
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`)).join('')
}

/** Settings as read, some of them invalid: an invalid one still has its raw value from the file. */
interface Draft {
  readonly listen?: unknown
  readonly tls?: unknown
  readonly listeners?: unknown
  readonly caller?: unknown
  readonly admin?: unknown
  readonly upstream?: unknown
  readonly routes?: unknown
  readonly providers?: unknown
  readonly prices?: unknown
  readonly budgets?: unknown
}

interface DraftRoute extends Routable {
  readonly path: KeyPath
  readonly name: string | undefined
  readonly upstream: unknown
  readonly http2?: unknown
  readonly tls?: UpstreamTls | undefined
}

/** Budgets have names of their own, and something to spend. */
function budgetFaults({ budgets }: Draft): { path: KeyPath; message: string }[] {
  const names = new Set<unknown>()
  return (Array.isArray(budgets) ? budgets : []).flatMap((budget: Partial<Budget> | null, index) => {
    if (typeof budget !== 'object' || budget === null) return []
    if (names.has(budget.name)) return [{ path: ['budgets', index, 'name'], message: 'Another budget has this name. Give each its own.' }]
    names.add(budget.name)
    if (budget.usd !== undefined || budget.tokens !== undefined) return []
    return [{ path: ['budgets', index], message: 'Nothing says how much may be spent. Write usd or tokens.' }]
  })
}

function draftRoutes(draft: Draft): DraftRoute[] {
  const own = draft.upstream === undefined ? [] : [{ path: ['upstream'], prefix: '/', name: 'default', upstream: draft.upstream }]
  const listed = Array.isArray(draft.routes) ? draft.routes : []
  return [
    ...own,
    ...listed.flatMap((route: Partial<Settings['routes'][number]> | null, index): DraftRoute[] => {
      if (typeof route?.prefix !== 'string') return []
      return [
        {
          path: ['routes', index],
          prefix: route.prefix,
          name: route.name ?? nameOf(route.prefix),
          upstream: route.upstream,
          http2: route.http2,
          when: route.when,
          tls: route.tls,
        },
      ]
    }),
  ]
}

/** The route that the proxy records for a request with no route. */
const noRoute = 'none'

/** A price has either an amount or `free`, not both. */
function priceFaults({ prices }: Draft): { path: KeyPath; message: string }[] {
  return (Array.isArray(prices) ? prices : []).flatMap((price: Partial<ModelPrice> | null, index) => {
    if (typeof price !== 'object' || price === null) return []
    const amounts = priceParts.filter((part) => price[part] !== undefined)
    if (price.free === true && amounts.length > 0) {
      return [{ path: ['prices', index, 'free'], message: `free and ${amounts[0]} contradict each other. Take one away.` }]
    }
    const says = price.free === true || price.input !== undefined || price.output !== undefined || price.request !== undefined
    return says
      ? []
      : [{ path: ['prices', index], message: 'There is no price here. Write input and output in USD per million tokens, or free: true.' }]
  })
}

/** Errors between settings: a prefix or name used twice, two listeners on one port, an upstream that is the sidecar itself. */
function contradictions(draft: Draft): { path: KeyPath; message: string }[] {
  const found: { path: KeyPath; message: string }[] = []
  const routes = draftRoutes(draft)
  const addresses = ownAddresses(draft)
  routes.forEach((route, index) => {
    const before = routes.slice(0, index)
    const samePrefix = before.find((other) => other.prefix === route.prefix && !other.when && !route.when)
    const sameName = before.find((other) => other.name === route.name)
    const taker = routes.find((other) => takesAllOf(other, route, routes))
    if (samePrefix !== undefined) {
      const message = `${JSON.stringify(route.prefix)} is already the prefix of ${dotted(samePrefix.path)}. Give each its own, or take one away.`
      found.push({ path: [...route.path, 'prefix'], message })
    } else if (taker !== undefined) {
      const message = `No request comes here: ${dotted(taker.path)} takes all of them. Take one away, or write it further up in the file.`
      found.push({ path: route.path, message })
    } else if (sameName !== undefined) {
      const message = `${JSON.stringify(route.name)} is already the name of ${dotted(sameName.path)}. Give each its own.`
      found.push({ path: [...route.path, 'name'], message })
    }
    if (route.name === noRoute) {
      found.push({ path: [...route.path, 'name'], message: `"${noRoute}" stands for requests that no route takes. Write another name.` })
    }
    found.push(...upstreamFaults(route))
    for (const { path, address } of addresses) {
      if (!(route.upstream instanceof URL) || !reaches(route.upstream, address)) continue
      const key = dotted(path)
      const message = `${socketPathOf(route.upstream) ?? route.upstream.host} is the sidecar's own ${key} address: requests would go round for ever. Write the address of your gateway.`
      found.push({ path: route.path[0] === 'upstream' ? route.path : [...route.path, 'upstream'], message })
    }
  })
  found.push(...priceFaults(draft), ...budgetFaults(draft), ...addressFaults(addresses, draft), ...callerFaults(addresses, draft))
  return [...found, ...emptyRules(draft.providers)]
}

/** The same of a configuration that was put together out of two. */
export function contradictionsIn(config: Config): readonly ConfigError[] {
  return contradictions(config).map(({ path, message }) => ({ key: dotted(path), where: undefined, message }))
}

/** What is asked of an upstream that it cannot have. */
function upstreamFaults({ path, upstream, http2, tls, when }: DraftRoute): { path: KeyPath; message: string }[] {
  const found: { path: KeyPath; message: string }[] = []
  const isPlain = upstream instanceof URL && upstream.protocol !== 'https:'
  if (http2 === true && isPlain) {
    found.push({
      path: [...path, 'http2'],
      message: 'HTTP/2 is agreed on over TLS. Write an upstream that begins with https://, or take http2 away.',
    })
  }
  if (tls !== undefined && isPlain) {
    found.push({
      path: [...path, 'tls'],
      message: 'This upstream is reached without TLS. Write one that begins with https://, or take tls away.',
    })
  }
  const lacks = tls && (tls.cert === undefined) !== (tls.key === undefined) ? (tls.cert === undefined ? 'cert' : 'key') : undefined
  if (lacks !== undefined)
    found.push({ path: [...path, 'tls'], message: `A client certificate is a cert and its key. Write ${lacks} too.` })
  if (when !== undefined && Object.values(when).every((value) => value === undefined)) {
    found.push({ path: [...path, 'when'], message: 'This holds for every request. Write host or header, or take when away.' })
  }
  return found
}

function takesAllOf(other: DraftRoute, route: DraftRoute, routes: readonly DraftRoute[]): boolean {
  if (other === route || !covers(other, route)) return false
  return (byPrecedence(other, route) || routes.indexOf(other) - routes.indexOf(route)) < 0
}

interface OwnAddress {
  readonly path: KeyPath
  readonly address: Address
  readonly tls?: unknown
}

/** Where the sidecar listens; of what is invalid, nothing. */
function ownAddresses({ listen, tls, listeners, admin }: Draft): OwnAddress[] {
  const more = (Array.isArray(listeners) ? listeners : []) as readonly ({ address?: unknown; tls?: unknown } | null)[]
  const all: (Omit<OwnAddress, 'address'> & { readonly address?: unknown })[] = [
    { path: ['listen'], address: listen, tls },
    { path: ['admin'], address: admin },
    ...more.map((one, index) => ({ path: ['listeners', index, 'address'], address: one?.address, tls: one?.tls })),
  ]
  return all.filter((one): one is OwnAddress => isAddress(one.address))
}

function addressFaults(addresses: readonly OwnAddress[], { listen }: Draft): { path: KeyPath; message: string }[] {
  return addresses.flatMap(({ path, address, tls }, index) => {
    const before = addresses.slice(0, index).find((other) => isSamePlace(other.address, address))
    if (before !== undefined) {
      const of = dotted(before.path)
      const message =
        address.unix === undefined
          ? `Port ${address.port} is also the port of ${of}. Give the two different ports.`
          : `${address.unix.path} is also the socket of ${of}. Give the two different paths.`
      return [{ path, message }]
    }
    if (address.unix === undefined || tls === undefined) return []
    const message = 'There is no TLS over a Unix socket, whose mode says who may connect. Take tls away.'
    return [{ path: address === listen ? ['tls'] : [...path.slice(0, -1), 'tls'], message }]
  })
}

/** Certificates name nobody where none is asked for. */
function callerFaults(addresses: readonly OwnAddress[], { caller }: Draft): { path: KeyPath; message: string }[] {
  const isAsked = addresses.some(({ tls }) => (tls as Partial<ListenTls> | undefined)?.clientCa !== undefined)
  const isWanted = Array.isArray(caller) && caller.some((source: Partial<CallerSource> | null) => source?.kind === 'client-cert')
  if (isAsked || !isWanted) return []
  return [{ path: ['caller'], message: 'No address asks clients for certificates. Write clientCa under tls, or take client-cert away.' }]
}

function isSamePlace(a: Address, b: Address): boolean {
  if (a.unix !== undefined || b.unix !== undefined) return a.unix?.path === b.unix?.path
  return a.port !== 0 && a.port === b.port && overlap(a.host, b.host)
}

function emptyRules(providers: unknown): { path: KeyPath; message: string }[] {
  if (!Array.isArray(providers)) return []
  return providers.flatMap((rule: { when?: unknown } | null, index) => {
    const when = rule?.when
    if (typeof when !== 'object' || when === null || Object.values(when).some((value) => value !== undefined)) return []
    return [
      { path: ['providers', index, 'when'], message: 'This holds for every request. Write at least one of header, host, path, model.' },
    ]
  })
}

function isAddress(value: unknown): value is Address {
  return typeof value === 'object' && value !== null && 'port' in value && typeof value.port === 'number' && 'host' in value
}

function reaches(upstream: URL, own: Address): boolean {
  const socket = socketPathOf(upstream)
  if (socket !== undefined || own.unix !== undefined) return socket === own.unix?.path
  const port = Number(upstream.port || (upstream.protocol === 'https:' ? 443 : 80))
  return own.port === port && overlap(own.host, upstream.hostname.replace(/^\[|\]$/g, ''))
}

const everywhere = new Set(['0.0.0.0', '::'])
const thisMachine = new Set(['127.0.0.1', '::1', 'localhost', ...everywhere])

/** Whether listeners on these two hosts can conflict: the same text, or both on this machine and one of them a name or wildcard for several addresses. */
function overlap(a: string, b: string): boolean {
  if (a === b) return true
  return thisMachine.has(a) && thisMachine.has(b) && [a, b].some((host) => everywhere.has(host) || host === 'localhost')
}

/** `/openai/v1` → `openai/v1`, `/` → `default`. */
function nameOf(prefix: string): string {
  const name = prefix.slice(1, 65).replace(/[^\w./-]/g, '-')
  return name === '' ? 'default' : name
}

function assemble({ upstream, routes, disconnect, prices, budgets, ...rest }: Settings, caller: Config['caller']): Config {
  const { trace } = rest
  const usual = { name: 'default', prefix: '/', stripPrefix: false, provider: undefined, host: 'upstream', disconnect, trace } as const
  const fallback: Route[] = upstream === undefined ? [] : [{ ...usual, upstream }]
  const listed = routes.map((route) => ({
    ...route,
    name: route.name ?? nameOf(route.prefix),
    provider: route.provider,
    disconnect: route.disconnect ?? disconnect,
    trace: route.trace ?? trace,
  }))
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone
  const withZone = budgets.map((budget) => ({ ...budget, timeZone: budget.timeZone ?? here }))
  return { ...rest, caller, routes: [...fallback, ...listed], prices, budgets: withZone }
}

/** The flag, variable or place in the file of every setting that has one. */
function originsOf(given: ReadonlyMap<string, Given>, file: ConfigFile | undefined): ReadonlyMap<string, string> {
  const origins = new Map<string, string>()
  for (const { key } of settings) {
    const path = key.split('.')
    const inFile = path.reduce<unknown>((value, step) => (value as Record<string, unknown> | undefined)?.[step], file?.data)
    const origin = given.get(key)?.where ?? (inFile === undefined ? undefined : file?.place(path, 'value'))
    if (origin !== undefined) origins.set(key, origin)
  }
  return origins
}

/** The error as one line: `tokenweir.yaml:3:14: timeouts.connectMs: "fast" is not a duration. Write …`. */
export function describeError(error: ConfigError): string {
  const given = error.where === undefined || error.where.includes(':') ? error.key : ''
  return [error.where, given, error.message].filter((part) => part !== undefined && part !== '').join(': ')
}
