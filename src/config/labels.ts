/** Parses `labels`: what a request says of itself (team, feature, session, …), and where it stands. */
import { headerName } from './header-names.ts'
import { fail, flag, isMapping, nearest, ValueError, within } from './values.ts'

/** Where a label's value may stand. */
export type LabelSource =
  | { readonly kind: 'header' | 'claim' | 'query' | 'constant'; readonly name: string }
  /** One pair out of a header's list (`team=a,feature=rag`) or JSON object; `baggage` is the W3C's. */
  | { readonly kind: 'pair'; readonly name: string; readonly key: string }
  /** A member of the request's JSON body. */
  | { readonly kind: 'body'; readonly path: readonly string[] }
  /** A segment of the path, the first being 1. */
  | { readonly kind: 'path'; readonly segment: number }
  /** What Claude Code puts into `metadata.user_id`. */
  | { readonly kind: 'claude-code'; readonly part: 'session' | 'user' }
  /** The product that the User-Agent names; the caller; the conversation that the wire format knows. */
  | { readonly kind: 'client' | 'caller' | 'conversation' }

export interface Label {
  readonly name: string
  /** The first that has a value is used. */
  readonly from: readonly LabelSource[]
  /** Other words for values. */
  readonly map: Readonly<Record<string, string>>
  /** A file with more of them, read again when it changes. */
  readonly mapFile?: string | undefined
  /** Values that no map names are recorded as a hash with the ledger's salt. */
  readonly hash: boolean
  /** It is a label of `tokenweir.tokens` and `tokenweir.cost`. */
  readonly metric: boolean
}

export const labelsMax = 16
const mapMax = 10_000
/** Of a name or a mapped value, in characters. */
export const labelValueCharsMax = 200

/** What works without settings of one's own. Sources: the clients' own requests, and the documents of the gateways. */
const presets: Readonly<Record<string, string>> = {
  session:
    'header:x-claude-code-session-id, claude-code:session, header:session-id, header:session_id, header:x-session-id, header:x-litellm-session-id, ' +
    'header:helicone-session-id, body:metadata.session_id, body:litellm_session_id, body:session_id, conversation, body:prompt_cache_key',
  user:
    'claude-code:user, body:safety_identifier, body:user, body:metadata.user_id, pair:x-portkey-metadata:_user, header:x-user-id, ' +
    'header:x-openwebui-user-id, header:helicone-user-id, header:x-litellm-end-user-id',
  client: 'client',
  tags: 'header:x-litellm-tags, body:metadata.tags, header:x-portkey-metadata, header:x-tokenweir-labels',
}
export const presetNames: readonly string[] = Object.keys(presets)

const sourceHelp =
  'Write header:NAME, pair:HEADER:KEY, baggage:KEY, body:PATH, claim:NAME, query:NAME, path:SEGMENT, client, caller, conversation or constant:VALUE.'
const keys = ['from', 'map', 'mapFile', 'hash', 'metric']

/** Names of presets (`session, user`), or a mapping of names to sources or to `{from, map, mapFile, hash, metric}`. */
export function labels(value: unknown): readonly Label[] {
  const found = typeof value === 'string' || Array.isArray(value) ? ofPresets(value) : isMapping(value) ? ofMapping(value) : undefined
  if (found === undefined) {
    return fail(value, 'is no mapping of labels', `Write presets (${presetNames.join(', ')}), or for example team: header:x-team.`)
  }
  if (found.length > labelsMax) throw new ValueError(`There are ${found.length} labels. Write ${labelsMax} at most.`)
  return found
}

function ofPresets(value: string | readonly unknown[]): readonly Label[] {
  const names = typeof value === 'string' ? value.split(',').map((name) => name.trim()) : value
  if (names.length === 1 && names[0] === 'none') return []
  return [...new Set(names)].map((name, index) => {
    if (typeof name !== 'string' || !Object.hasOwn(presets, name)) {
      return within([index], () => fail(name, 'is no preset', `The presets are ${presetNames.join(', ')}.`))
    }
    return usual(name, sources(presets[name]))
  })
}

const usual = (name: string, from: readonly LabelSource[]): Label => ({ name, from, map: {}, hash: false, metric: false })

function ofMapping(value: Readonly<Record<string, unknown>>): readonly Label[] {
  return Object.entries(value).map(([name, given]) =>
    within([name], () => {
      if (!/^[a-z][a-z0-9_]{0,39}$/.test(name)) {
        return fail(name, 'is no name of a label', 'Write a small letter first, then small letters, digits and _; 40 at most.')
      }
      return labelOf(name, given)
    }),
  )
}

function labelOf(name: string, given: unknown): Label {
  const preset = Object.hasOwn(presets, name) ? presets[name] : undefined
  if ((given === true || given === null) && preset !== undefined) return usual(name, sources(preset))
  if (!isMapping(given)) return usual(name, sources(given))
  const unknown = Object.keys(given).find((key) => !keys.includes(key))
  if (unknown !== undefined) {
    const meant = nearest(unknown, keys)
    throw new ValueError(`There is no such key. ${meant === undefined ? `The keys are ${keys.join(', ')}.` : `Did you mean ${meant}?`}`, [
      unknown,
    ])
  }
  const from = given['from'] ?? preset
  if (from === undefined) throw new ValueError(`Nothing says where the label stands. ${sourceHelp}`)
  const isSet = (key: string) => within([key], () => given[key] !== undefined && flag(given[key]))
  const mapFile = given['mapFile']
  if (mapFile !== undefined && (typeof mapFile !== 'string' || mapFile === '')) {
    return within(['mapFile'], () => fail(mapFile, 'is no file', 'Write the path of a YAML or JSON file.'))
  }
  const map = within(['map'], () => wordMap(given['map'] ?? {}))
  return { name, from: within(['from'], () => sources(from)), map, mapFile, hash: isSet('hash'), metric: isSet('metric') }
}

/** Values and what stands for them: of a label, and of callers (`callerNames`). */
export function wordMap(value: unknown): Readonly<Record<string, string>> {
  if (!isMapping(value)) return fail(value, 'is no mapping of values', 'Write for example {"key:7ce877b643": search-team}.')
  const entries = Object.entries(value)
  if (entries.length > mapMax) throw new ValueError(`There are ${entries.length} values. Write ${mapMax} at most.`)
  const map: Record<string, string> = Object.create(null)
  for (const [from, to] of entries) {
    if ((typeof to !== 'string' && typeof to !== 'number') || `${to}`.length > labelValueCharsMax || `${to}` === '') {
      return within([from], () => fail(to, 'is no text', `Write a text of up to ${labelValueCharsMax} characters.`))
    }
    map[from] = `${to}`
  }
  return map
}

/** What stands for a value; undefined where nothing does. */
export function wordFor(value: string, words: Readonly<Record<string, string>> | undefined): string | undefined {
  return words !== undefined && Object.hasOwn(words, value) ? words[value] : undefined
}

/** Gives the parser of a `mapFile` or `callerNamesFile` (YAML or JSON). What it throws says what is wrong. */
export async function mapFileParser(): Promise<(text: string) => Readonly<Record<string, string>>> {
  const { isMap, parseDocument } = await import('yaml') // 35 ms, so only when there is such a file
  return (text) => {
    // The library would compare each key with all others: 5 s for 10,000.
    const document = parseDocument(text, { uniqueKeys: false })
    const [fault] = document.errors
    if (fault !== undefined) throw fault
    const keys = isMap(document.contents) ? document.contents.items.map(({ key }) => String(key)) : []
    const seen = new Set<string>()
    const twice = keys.find((key) => seen.size === seen.add(key).size)
    if (twice !== undefined) throw new ValueError(`${JSON.stringify(twice)} is here twice. Take one away.`)
    return wordMap(document.toJS({ maxAliasCount: 0 }))
  }
}

function sources(value: unknown): readonly LabelSource[] {
  const parts =
    typeof value === 'string' ? value.split(',') : Array.isArray(value) ? value : fail(value, 'is no source of a label', sourceHelp)
  return parts.map((part, index) => {
    const text = typeof part === 'string' ? part.trim() : ''
    return typeof value === 'string' ? sourceOf(text, part) : within([index], () => sourceOf(text, part))
  })
}

function sourceOf(text: string, given: unknown): LabelSource {
  const [, kind = '', rest = ''] = /^([a-z-]+)(?::(.*))?$/.exec(text) ?? []
  switch (kind) {
    case 'header':
      return { kind, name: headerName(rest) }
    case 'pair': {
      const [, name = '', key = ''] = /^([^:]+):(.+)$/.exec(rest) ?? []
      if (key === '') break
      return { kind, name: headerName(name), key }
    }
    case 'baggage':
      if (rest === '') break
      return { kind: 'pair', name: 'baggage', key: rest }
    case 'body':
      if (!/^[^.]+(\.[^.]+){0,2}$/.test(rest))
        return fail(given, 'is no path into a body', 'Write one to three names with dots: body:metadata.team.')
      return { kind, path: rest.split('.') }
    case 'path':
      if (!/^[1-9]\d?$/.test(rest)) return fail(given, 'is no segment of a path', 'Write its number, the first is path:1.')
      return { kind, segment: Number(rest) }
    case 'claude-code':
      if (rest !== 'session' && rest !== 'user') break
      return { kind, part: rest }
    case 'query':
    case 'claim':
    case 'constant':
      if (rest === '' || rest.length > labelValueCharsMax) break
      if (kind === 'query') headerName(rest)
      return { kind, name: rest }
    case 'client':
    case 'caller':
    case 'conversation':
      if (rest !== '') break
      return { kind }
  }
  return fail(given, 'is no source of a label', sourceHelp)
}

/** The key under which the opening carries what a query or a verified token says. */
export const inputKey = (source: { readonly kind: 'query' | 'claim'; readonly name: string }): string => `${source.kind}:${source.name}`

/** Request headers, and members of the query, that labels read. */
export function labelNeeds(labels: readonly Label[]): {
  readonly headers: readonly string[]
  readonly queries: readonly string[]
  readonly claims: readonly string[]
} {
  const all = labels.flatMap(({ from }) => from)
  const of = (...kinds: readonly LabelSource['kind'][]) => [
    ...new Set(all.flatMap((source) => (kinds.includes(source.kind) && 'name' in source ? [source.name] : []))),
  ]
  const client = all.some(({ kind }) => kind === 'client') ? ['user-agent'] : []
  return { headers: [...of('header', 'pair'), ...client], queries: of('query'), claims: of('claim') }
}

/** As it is written in the file. */
export function writtenSource(source: LabelSource): string {
  switch (source.kind) {
    case 'pair':
      return source.name === 'baggage' ? `baggage:${source.key}` : `pair:${source.name}:${source.key}`
    case 'body':
      return `body:${source.path.join('.')}`
    case 'path':
      return `path:${source.segment}`
    case 'claude-code':
      return `claude-code:${source.part}`
    case 'client':
    case 'caller':
    case 'conversation':
      return source.kind
    default:
      return `${source.kind}:${source.name}`
  }
}

/** As it is written in the file: presets by name, others as a mapping in JSON, which is valid YAML. */
export function writtenLabels(all: readonly Label[]): string | object {
  if (all.length === 0) return 'none'
  return Object.fromEntries(
    all.map(({ name, from, map, ...rest }) => [
      name,
      { from: from.map(writtenSource).join(', '), ...(Object.keys(map).length === 0 ? {} : { map: { ...map } }), ...rest },
    ]),
  )
}
