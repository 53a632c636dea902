/** Every setting, defined once: key, flag, variable, default, description. Validation, `--help` and the documents are derived from this. */
import * as v from 'valibot'
import { periods } from '../lib/period.ts'
import { budgetWhere } from './budgets.ts'
import { callerSources } from './caller.ts'
import { headerName } from './header-names.ts'
import { labels, wordMap } from './labels.ts'
import * as values from './values.ts'

/** One row of the table of settings. */
export interface Setting {
  /** Dotted key in the configuration file; `routes[].name` is a key of each route. */
  readonly key: string
  /** The kind of value, for documents and `--help`. */
  readonly type: string
  /** As written in the file; `undefined` when there is none. */
  readonly default: string | undefined
  readonly env: string | undefined
  readonly flag: string | undefined
  readonly description: string
}

interface Leaf {
  readonly type: string
  readonly flag?: string
  readonly env?: string
}

/** A schema for one value, with its row of the table of settings. */
const leaf = <T>(read: (value: unknown) => T, about: Leaf, description: string) =>
  v.pipe(
    v.unknown(),
    v.description(description),
    v.metadata({ ...about }),
    v.rawTransform<unknown, T>(({ dataset, addIssue, NEVER }) => {
      try {
        return read(dataset.value)
      } catch (error) {
        if (!(error instanceof values.ValueError)) throw error
        const path = error.path.map(
          (key): v.IssuePathItem => ({ type: 'unknown', origin: 'value', input: undefined, key, value: undefined }),
        )
        addIssue({ message: error.message, ...(path.length === 0 ? {} : { path: path as [v.IssuePathItem, ...v.IssuePathItem[]] }) })
        return NEVER
      }
    }),
  )

/** A mapping that reports every unknown key (`strictObject` stops at the first). */
const section = <E extends v.ObjectEntries>(entries: E) => v.objectWithRest(entries, v.never())

const duration = (description: string) => leaf(values.duration, { type: 'duration' }, description)
const size = (min: number, max: number, description: string) => leaf(values.size(min, max), { type: 'size' }, description)

const traceMode = values.choice('child', 'link', 'no-usage')
const traceModes = 'child, link or no-usage'

const pattern = (read: (value: unknown) => string, description: string) => v.optional(leaf(read, { type: 'pattern' }, description))

const pemFile = (description: string) => leaf(values.path, { type: 'file' }, description)

const route = section({
  name: v.optional(leaf(values.label, { type: 'name' }, "Metric label and ledger value; by default the prefix without its first '/'.")),
  prefix: v.optional(leaf(values.prefix, { type: 'path prefix' }, "Matched at a '/' boundary; the longest prefix wins."), '/'),
  stripPrefix: v.optional(
    leaf(values.flag, { type: 'true or false' }, "Remove the prefix before the upstream's base path is prepended."),
    false,
  ),
  upstream: leaf(values.upstream, { type: 'URL' }, 'The upstream of this route.'),
  provider: v.optional(leaf(values.label, { type: 'name' }, 'The provider to record; by default it is detected from each request.')),
  host: v.optional(
    leaf(
      values.hostHeader,
      { type: 'upstream, client or a host' },
      "The Host header sent on: the upstream's own, the client's, or this text.",
    ),
    'upstream',
  ),
  disconnect: v.optional(
    leaf(
      values.choice('cancel', 'drain'),
      { type: 'cancel or drain' },
      'When a client disconnects: cancel or drain; by default the setting disconnect.',
    ),
  ),
  trace: v.optional(leaf(traceMode, { type: traceModes }, 'Overrides the setting trace for this route.')),
  when: v.optional(
    section({
      host: pattern(values.hostPattern, 'The host that the client asks for, without port. The most specific host goes before the prefix.'),
      header: v.optional(
        section({
          name: leaf(headerName, { type: 'header name' }, 'A request header. Among routes of one prefix, one with a header goes first.'),
          value: pattern(values.pattern, 'Its value; by default any value matches.'),
        }),
      ),
    }),
  ),
  tls: v.optional(
    section({
      ca: v.optional(pemFile('The CA that signs certificates of this upstream, in PEM; no other is trusted then.')),
      cert: v.optional(pemFile('A client certificate for this upstream (mTLS), in PEM.')),
      key: v.optional(pemFile('Its private key, in PEM, without a passphrase.')),
      serverName: v.optional(
        leaf(values.serverName, { type: 'name' }, 'The name that its certificate must bear; by default the host of the upstream.'),
      ),
    }),
  ),
  http2: v.optional(
    leaf(values.flag, { type: 'true or false' }, 'Speak HTTP/2 with an upstream that offers it over TLS; WebSockets stay on HTTP/1.1.'),
  ),
  probe: v.optional(
    section({
      path: leaf(
        values.requestPath,
        { type: 'path' },
        "Asked for by GET on the upstream's host, without credentials; any status below 500 is a success.",
      ),
      everyMs: v.optional(
        leaf(values.probeInterval, { type: 'duration' }, 'Between two probes of the upstream; one second or more.'),
        30_000,
      ),
    }),
  ),
})

const ownTls = {
  cert: pemFile('The certificate of this port and those between it and the CA, in PEM. The file is read again when it changes.'),
  key: pemFile('The private key of the certificate, in PEM, without a passphrase.'),
  minVersion: v.optional(leaf(values.choice('1.2', '1.3'), { type: '1.2 or 1.3' }, 'The lowest version of TLS.'), '1.2'),
}

const listenTls = section({
  cert: ownTls.cert,
  key: ownTls.key,
  clientCa: v.optional(pemFile('The CA that signs client certificates, in PEM: clients must have one (mTLS).')),
  clientCertificates: v.optional(
    leaf(
      values.choice('required', 'optional'),
      { type: 'required or optional' },
      'With clientCa: whether a client may connect without a certificate.',
    ),
    'required',
  ),
  minVersion: ownTls.minVersion,
  http2: v.optional(leaf(values.flag, { type: 'true or false' }, 'Offer HTTP/2 to clients (ALPN).'), true),
})

const listener = section({
  address: leaf(values.listenAddress, { type: 'address' }, 'Another address where clients connect: host:port or unix:/path.'),
  tls: v.optional(listenTls),
})

const providerRule = section({
  provider: leaf(
    values.label,
    { type: 'name' },
    'The provider to record when every condition under when matches. The first rule that matches is used.',
  ),
  when: section({
    header: v.optional(
      section({
        name: leaf(headerName, { type: 'header name' }, 'A header of the response, or else of the request.'),
        value: pattern(values.pattern, 'Its value; by default any value matches.'),
      }),
    ),
    host: pattern(values.hostPattern, "The upstream's host, without port."),
    path: pattern(values.pathPattern, 'The path as the client sent it, without the query.'),
    model: pattern(values.pattern, 'The requested model, or else the model that responded.'),
  }),
})

const amount = (description: string) => v.optional(leaf(values.amount, { type: 'USD' }, description))
const moment = (description: string) => v.optional(leaf(values.moment, { type: 'date' }, description))

const price = section({
  provider: v.optional(leaf(values.label, { type: 'name' }, 'The provider, such as openai; by default every provider.')),
  model: leaf(values.model, { type: 'model' }, 'The model that responded or was requested; * matches any characters.'),
  input: amount('USD per million input tokens.'),
  output: amount('USD per million output tokens.'),
  cacheRead: amount('USD per million input tokens read from a cache; as input otherwise.'),
  cacheWrite: amount('USD per million input tokens written to a cache; as input otherwise.'),
  cacheWrite1h: amount('USD per million input tokens written to a cache for an hour; as cacheWrite otherwise.'),
  inputAudio: amount('USD per million input tokens of audio; as input otherwise.'),
  outputAudio: amount('USD per million output tokens of audio; as output otherwise.'),
  inputImage: amount('USD per million input tokens of images; as input otherwise.'),
  outputImage: amount('USD per million output tokens of images; as output otherwise.'),
  reasoning: amount('USD per million reasoning tokens; as output otherwise.'),
  request: amount('USD per thousand requests, beside the tokens.'),
  search: amount('USD per thousand searches that the provider makes, beside the tokens.'),
  tier: v.optional(
    leaf(
      values.choice('batch', 'flex', 'priority', 'fast'),
      { type: 'batch, flex, priority or fast' },
      'The price applies only to this tier of service.',
    ),
  ),
  above: v.optional(leaf(values.tokens, { type: 'tokens' }, 'The price applies only to responses with more input tokens than this.')),
  from: moment('The price applies from this time on.'),
  until: moment('The price applies until this time.'),
  free: v.optional(leaf(values.flag, { type: 'true or false' }, 'Requests of this model cost nothing.'), false),
})

const budget = section({
  name: leaf(values.label, { type: 'name' }, 'Metric label of the budget.'),
  where: v.optional(
    leaf(
      budgetWhere,
      { type: 'mapping' },
      'Whose requests count: provider, model, caller, route or label:NAME with a value; by default all.',
    ),
    {},
  ),
  period: v.optional(
    leaf(values.choice(...periods), { type: 'day, week or month' }, 'The time it is for; weeks begin on Monday.'),
    'month',
  ),
  timeZone: v.optional(
    leaf(values.timeZone, { type: 'time zone' }, "Where days begin, such as Europe/Berlin; by default the machine's zone."),
  ),
  usd: v.optional(leaf(values.budgetUsd, { type: 'USD' }, 'How much may be spent.')),
  tokens: v.optional(leaf(values.tokens, { type: 'tokens' }, 'How many tokens, input and output together, may be used.')),
})

const MiB = 2 ** 20

/** The whole configuration. Its input is what flags, variables and the file give; its output has addresses, URLs, milliseconds and bytes. */
const schema = section({
  upstream: v.optional(
    leaf(
      values.upstream,
      { type: 'URL', flag: '--upstream', env: 'TOKENWEIR_UPSTREAM' },
      'The default upstream, for paths that match no route.',
    ),
  ),
  listen: v.optional(
    leaf(
      values.listenAddress,
      { type: 'address', flag: '--listen', env: 'TOKENWEIR_LISTEN' },
      'Where clients connect: host:port, or unix:/path for a Unix socket.',
    ),
    '127.0.0.1:4141',
  ),
  admin: v.optional(
    leaf(values.address, { type: 'address', flag: '--admin', env: 'TOKENWEIR_ADMIN' }, 'Health, metrics and the live page.'),
    '127.0.0.1:4142',
  ),
  ledger: v.optional(
    leaf(values.path, { type: 'path', flag: '--ledger', env: 'TOKENWEIR_LEDGER' }, 'The SQLite file with one row per request.'),
    'tokenweir.db',
  ),
  capture: v.optional(
    leaf(
      values.choice('inject', 'observe'),
      { type: 'inject or observe', flag: '--capture', env: 'TOKENWEIR_CAPTURE' },
      'inject asks OpenAI-style streams for their usage; observe changes no byte.',
    ),
    'inject',
  ),
  requestIdHeader: v.optional(
    leaf(
      values.flag,
      { type: 'true or false' },
      "Add x-tokenweir-id, the request's id in the ledger, to responses; never with capture: observe.",
    ),
    true,
  ),
  logFormat: v.optional(
    leaf(
      values.choice('auto', 'json', 'short'),
      { type: 'auto, json or short', flag: '--log-format', env: 'TOKENWEIR_LOG_FORMAT' },
      'The request log: JSON lines or short lines to read; auto is short on a terminal.',
    ),
    'auto',
  ),
  disconnect: v.optional(
    leaf(
      values.choice('cancel', 'drain'),
      { type: 'cancel or drain', env: 'TOKENWEIR_DISCONNECT' },
      'When a client leaves: cancel, or drain to see usage.',
    ),
    'cancel',
  ),
  semconv: v.optional(
    leaf(
      values.choice('1.41', 'genai'),
      { type: '1.41 or genai', env: 'TOKENWEIR_SEMCONV' },
      'Generation of the OpenTelemetry GenAI names.',
    ),
    '1.41',
  ),
  trace: v.optional(
    leaf(traceMode, { type: traceModes, env: 'TOKENWEIR_TRACE' }, "Spans join the caller's trace, link to it, or omit usage."),
    'child',
  ),
  caller: v.optional(
    leaf(
      callerSources,
      { type: 'none, or api-key, header:NAME, client-cert, jwt', env: 'TOKENWEIR_CALLER' },
      'Callers are named by API key, header, certificate or token.',
    ),
    'api-key',
  ),
  callerNames: v.optional(
    leaf(wordMap, { type: 'mapping' }, 'Readable names of callers: {key:7ce877b643: search-team}; tokenweir callers lists them.'),
    {},
  ),
  callerNamesFile: v.optional(
    leaf(values.path, { type: 'file', env: 'TOKENWEIR_CALLER_NAMES_FILE' }, 'A YAML or JSON file with more of them, watched.'),
  ),
  labels: v.optional(
    leaf(
      labels,
      { type: 'presets, or a mapping of labels', env: 'TOKENWEIR_LABELS' },
      'Labels to record: session, user, client, tags, or your own.',
    ),
    'none',
  ),
  tls: v.optional(listenTls),
  listeners: v.optional(v.array(listener), []),
  routes: v.optional(v.array(route), []),
  providers: v.optional(v.array(providerRule), []),
  timeouts: v.optional(
    section({
      connectMs: v.optional(duration('To connect to an upstream.'), 10_000),
      headMs: v.optional(duration('From sending the request to the response headers.'), 900_000),
      idleMs: v.optional(duration('Between two chunks of a response body.'), 900_000),
      clientBodyMs: v.optional(
        duration('Without a byte of a request body that is awaited; the client is answered 408. 0 means no limit.'),
        60_000,
      ),
      clientReadMs: v.optional(
        duration('Without a client reading any of the response bytes that wait for it; it is disconnected. 0 means no limit.'),
        60_000,
      ),
      drainMs: v.optional(duration('With disconnect: drain, how long to read after the client has disconnected.'), 30_000),
      graceMs: v.optional(
        duration('After a stop signal, how long open requests may continue. Together with flushMs, keep it below the 30s of Kubernetes.'),
        20_000,
      ),
      flushMs: v.optional(duration('After graceMs, how long writing and exporting may take.'), 5000),
    }),
    {},
  ),
  limits: v.optional(
    section({
      bodyBytes: v.optional(
        size(1024, 1024 * MiB, 'Bytes of one body that are buffered for parsing; a longer body gets the note limit_hit.'),
        16 * MiB,
      ),
      heldBytes: v.optional(
        size(
          64 * 1024,
          64 * 1024 * MiB,
          'Request bodies held in memory at once before they are sent (beyond it, the largest goes on unchanged), and copies for the record.',
        ),
        64 * MiB,
      ),
      messageBytes: v.optional(size(1024, 256 * MiB, 'Bytes of one streamed message that are buffered for parsing.'), 4 * MiB),
      drainBytes: v.optional(
        size(1024, 1024 * MiB, 'With disconnect: drain, how many bytes to read after the client has disconnected.'),
        8 * MiB,
      ),
      headerBytes: v.optional(size(1024, 16 * MiB, "Bytes of a request's headers; a request with more is answered 431."), 64 * 1024),
      labelValues: v.optional(
        leaf(
          values.integer(1, 100_000),
          { type: 'number' },
          'Distinct values of a metric label such as the model; further values become other.',
        ),
        1000,
      ),
    }),
    {},
  ),
  retention: v.optional(
    section({
      days: v.optional(leaf(values.integer(0, 36_500), { type: 'days' }, 'How long the ledger stores a row; 0 means no limit.'), 90),
      rollupDays: v.optional(
        leaf(
          values.integer(0, 36_500),
          { type: 'days' },
          'How long the ledger stores the totals of a day, which remain when its rows are gone; never less than `days`. 0 means no limit.',
        ),
        400,
      ),
      bytes: v.optional(size(MiB, 1024 * 1024 * MiB, 'Maximum size of the ledger file; the oldest rows are deleted.'), 10 * 1024 * MiB),
      spoolBytes: v.optional(
        size(MiB, 1024 * 1024 * MiB, 'How much telemetry may wait for the OTLP collector; the oldest is deleted.'),
        256 * MiB,
      ),
      spoolDays: v.optional(
        leaf(values.integer(0, 36_500), { type: 'days' }, 'How long telemetry may wait for the OTLP collector; 0 means no limit.'),
        7,
      ),
    }),
    {},
  ),
  prices: v.optional(v.array(price), []),
  pricesFile: v.optional(
    leaf(values.path, { type: 'file', env: 'TOKENWEIR_PRICES_FILE' }, 'A table of prices that overrides the built-in one.'),
  ),
  budgets: v.optional(v.array(budget), []),
  estimates: v.optional(
    section({
      enabled: v.optional(
        leaf(values.flag, { type: 'true or false' }, 'Estimate tokens, in fields of their own, where the provider reports none.'),
        false,
      ),
    }),
    {},
  ),
  adminTls: v.optional(section(ownTls)),
  adminToken: v.optional(
    leaf(values.secret, { type: 'text', env: 'TOKENWEIR_ADMIN_TOKEN' }, 'The token for the live page; required off the loopback.'),
  ),
  traceUrl: v.optional(
    leaf(values.traceUrl, { type: 'URL with {traceId}', env: 'TOKENWEIR_TRACE_URL' }, 'The URL of a trace, for links on the live page.'),
  ),
})

export type Settings = v.InferOutput<typeof schema>

/** One error, at a path of keys. */
export interface Fault {
  readonly path: readonly (string | number)[]
  readonly message: string
  /** The path names a key that does not exist. */
  readonly unknownKey: boolean
}

/** Parses a whole tree of settings. With faults, `output` still has every part that is valid, and the raw values of the rest. */
export function readSettings(tree: unknown): { readonly output: unknown; readonly faults: readonly Fault[] } {
  const result = v.safeParse(schema, tree)
  return { output: result.output, faults: (result.issues ?? []).map(faultOf) }
}

function faultOf(issue: v.BaseIssue<unknown>): Fault {
  const steps = issue.path ?? []
  const path = steps.map((step) => step.key as string | number)
  const last = steps.at(-1)
  const fault = (message: string, unknownKey = false): Fault => ({ path, message, unknownKey })
  if (issue.type === 'never') {
    if (Array.isArray(last?.input)) return { path: path.slice(0, -1), message: 'A list is no mapping of settings.', unknownKey: false }
    const parent = path
      .slice(0, -1)
      .map((step) => (typeof step === 'number' ? '[]' : step))
      .join('.')
      .replaceAll('.[]', '[]')
    const meant = values.nearest(String(last?.key), keysOf(parent))
    return fault(
      meant === undefined
        ? `There is no such key. The keys here are ${keysOf(parent).join(', ')}.`
        : `There is no such key. Did you mean ${meant}?`,
      true,
    )
  }
  if (issue.type === 'array')
    return fault(`${values.shown(issue.input)} is not a list. Write the ${last?.key} as a list, each line beginning with "- ".`)
  if (issue.type !== 'object_with_rest') return fault(issue.message)
  return last?.origin === 'key'
    ? fault('This key is needed here and missing.')
    : fault(`${values.shown(issue.input)} is not a mapping of settings.`)
}

/** The keys allowed under a dotted parent; '' is the file itself. */
function keysOf(parent: string): string[] {
  const start = parent === '' ? '' : `${parent}.`
  const inside = settings.filter(({ key }) => key.startsWith(start) && key !== configFile.key)
  return [...new Set(inside.map(({ key }) => key.slice(start.length).replace(/[.[].*/, '')))]
}

/** The path of the file is a setting, but not a key of the file. */
const configFile: Setting = {
  key: 'config',
  type: 'path',
  default: undefined,
  env: 'TOKENWEIR_CONFIG',
  flag: '--config',
  description: 'A YAML or JSON file with these settings; flags and variables override it.',
}

type Entry = v.ObjectEntries[string]

/** A default as it is written in the file. */
function written(type: string, value: unknown): string | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'object') return JSON.stringify(value)
  if (type === 'size') return values.formatSize(Number(value))
  return type === 'duration' && Number(value) % 1000 === 0 ? `${Number(value) / 1000}s` : String(value)
}

function walk(prefix: string, entries: v.ObjectEntries): Setting[] {
  return Object.entries(entries).flatMap(([name, entry]): Setting[] => {
    const key = `${prefix}${name}`
    const inner = 'wrapped' in entry ? (entry.wrapped as Entry) : entry
    if ('item' in inner) return walk(`${key}[].`, (inner.item as typeof route | typeof price).entries)
    if ('entries' in inner) return walk(`${key}.`, inner.entries as v.ObjectEntries)
    const about = v.getMetadata(inner) as unknown as Leaf
    const fallback = written(about.type, 'default' in entry ? entry.default : undefined)
    return [{ key, type: about.type, default: fallback, env: about.env, flag: about.flag, description: v.getDescription(inner) ?? '' }]
  })
}

/** Every setting, in the order of the file. */
export const settings: readonly Setting[] = [configFile, ...walk('', schema.entries)]
