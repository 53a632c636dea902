/** Provider attribution: the route's word, the operator's own rules, then the table of `provider-rules.ts`. Pure. */

import type { OwnRule } from '../../config/config.ts'
import { headersReadByFormats } from '../../observe/formats/index.ts'
import type { Evidence } from './evidence.ts'
import { ownRuleMatcher } from './own-rules.ts'
import { type Names, type Rule, rules } from './rules.ts'

export interface Attribution {
  readonly provider: string
  /** `kind:what` of the row that decided. A bounded set. */
  readonly rule: string
}

/** Other spellings of the names above, as gateways use them. What is not here is taken as it is, lower-case with underscores. */
const aliases: Names = {
  azure: 'azure.ai.openai',
  azure_openai: 'azure.ai.openai',
  azure_ai: 'azure.ai.inference',
  azure_foundry: 'azure.ai.inference',
  bedrock: 'aws.bedrock',
  aws_bedrock: 'aws.bedrock',
  amazon_bedrock: 'aws.bedrock',
  vertex: 'gcp.vertex_ai',
  vertex_ai: 'gcp.vertex_ai',
  google_vertex: 'gcp.vertex_ai',
  google_vertex_ai: 'gcp.vertex_ai',
  gemini: 'gcp.gemini',
  google: 'gcp.gemini',
  google_ai_studio: 'gcp.gemini',
  mistral: 'mistral_ai',
  mistralai: 'mistral_ai',
  xai: 'x_ai',
  grok: 'x_ai',
  moonshot: 'moonshot_ai',
  moonshotai: 'moonshot_ai',
  perplexity_ai: 'perplexity',
  watsonx: 'ibm.watsonx.ai',
  together: 'together_ai',
  fireworks: 'fireworks_ai',
  zai: 'z_ai',
  'z.ai': 'z_ai',
  zhipu: 'z_ai',
  dashscope: 'alibaba',
  hosted_vllm: 'vllm',
  ollama_chat: 'ollama',
  nvidia_nim: 'nvidia',
  voyageai: 'voyage',
  workers_ai: 'cloudflare',
  amazon_nova: 'aws.bedrock',
  ark: 'volcengine',
  bytedance: 'volcengine',
  byteplus: 'volcengine',
  volcengine_ark: 'volcengine',
  hunyuan: 'tencent',
  qianfan: 'baidu',
  vercel_ai_gateway: 'vercel',
  cloudflare_workers_ai: 'cloudflare',
  github_models: 'github',
  copilot: 'github_copilot',
  siliconflow_cn: 'siliconflow',
  step: 'stepfun',
  llamacpp: 'llama.cpp',
  llama_cpp: 'llama.cpp',
}

const nameLengthMax = 64

/** The provider that somebody else's name for it means; undefined for what cannot be a name. */
export function providerNamed(name: string | undefined, also: Names = {}): string | undefined {
  const plain = name
    ?.trim()
    .toLowerCase()
    .replace(/[\s-]+/g, '_')
  if (plain === undefined || plain.length > nameLengthMax || !/^[a-z0-9][a-z0-9_.]*$/.test(plain)) return undefined
  if (Object.hasOwn(also, plain)) return also[plain]
  return Object.hasOwn(aliases, plain) ? aliases[plain] : plain
}

/** What decides. */
export interface AttributionOptions {
  /** The built-in table when not given. */
  readonly table?: readonly Rule[]
  /** The operator's own rules, in order. */
  readonly own?: readonly OwnRule[]
}

export interface Attributor {
  /** The provider, and the row that decided. Every input may be missing or wrong. */
  attribute(evidence: Evidence): Attribution
  /** Request headers that are kept for attribution and for reading the body, lower-case. No secrets among them. */
  readonly requestHeaders: readonly string[]
  /** Response headers that are kept for attribution, for framing and decoding, and for the formats, lower-case. */
  readonly responseHeaders: readonly string[]
}

export function createAttributor({ table = rules, own = [] }: AttributionOptions = {}): Attributor {
  const byUrl = urlReader(table)
  const byModel = modelReader(table)
  const rows: RuleRow[] = [
    ...own.map((rule, index) => {
      const matches = ownRuleMatcher(rule)
      const providerOf = (evidence: Evidence) => (matches(evidence) ? rule.provider : undefined)
      return { name: `own:${index}`, mayTell: () => true, providerOf }
    }),
    ...table.map((rule) => {
      const providerOf = compile(rule, { byUrl, byModel })
      return { name: nameOf(rule), mayTell: mayTell(rule, providerOf), providerOf }
    }),
  ]
  const headers = headersOf(table)
  const rowsFor = narrowed(rows, headers)
  return { attribute: (evidence) => decide(rowsFor(evidence), evidence), ...headersRead(headers, own) }
}

interface RuleRow {
  readonly name: string
  /** False where it can say nothing of any evidence of the same place. */
  readonly mayTell: (evidence: Evidence) => boolean
  readonly providerOf: ProviderOf
}

/** A row looks at host, paths, model, format and which headers there are, or at what a header or the body says. */
function mayTell(rule: Rule, providerOf: ProviderOf): RuleRow['mayTell'] {
  if (rule.kind === 'body') return () => true
  if (rule.kind === 'response-header') return ({ responseHeaders }) => rule.of in responseHeaders
  if (rule.kind === 'request-header') return ({ requestHeaders }) => rule.of in requestHeaders
  return (evidence) => providerOf(evidence) !== undefined
}

/** Headers that a row looks for. */
interface Headers {
  readonly request: ReadonlySet<string>
  readonly response: ReadonlySet<string>
}

function headersOf(table: readonly Rule[]): Headers {
  const of = (...kinds: readonly Rule['kind'][]) =>
    table.flatMap((rule) => (kinds.includes(rule.kind) && typeof rule.of === 'string' ? [rule.of] : []))
  const sent = of('sends')
  return {
    request: new Set(of('request-header', 'client-sends')),
    response: new Set([...of('response-header'), ...sent, ...sent.map(throughLitellm)]),
  }
}

/** Places that are kept; a path may hold ids, so there is no end of them. */
const placesMax = 500
const placeCharsMax = 500

/** The rows without those that the place rules out: nearly all of the table, looked through once for each place. */
function narrowed(rows: readonly RuleRow[], headers: Headers): (evidence: Evidence) => readonly RuleRow[] {
  let known = new Map<string, readonly RuleRow[]>()
  return (evidence) => {
    const place = placeOf(evidence, headers)
    const found = known.get(place)
    if (found !== undefined) return found
    const left = rows.filter((row) => row.mayTell(evidence))
    if (known.size >= placesMax) known = new Map()
    if (place.length <= placeCharsMax) known.set(place, left)
    return left
  }
}

function placeOf(evidence: Evidence, headers: Headers): string {
  const { host, basePath = '', path, format = '', requestHeaders, responseHeaders } = evidence
  let place = `${host}\n${basePath}\n${path}\n${format}\n${modelOf(evidence) ?? ''}`
  for (const name in requestHeaders) if (headers.request.has(name)) place += `\n>${name}`
  for (const name in responseHeaders) if (headers.response.has(name)) place += `\n<${name}`
  return place
}

function decide(rows: readonly RuleRow[], evidence: Evidence): Attribution {
  if (evidence.routeProvider !== undefined) return { provider: evidence.routeProvider, rule: 'route' }
  for (const { name, providerOf } of rows) {
    const provider = providerOf(evidence)
    if (provider !== undefined) return { provider, rule: name }
  }
  // OpenAI's format is spoken by dozens, and names nobody.
  return { provider: 'unknown', rule: 'none' }
}

function headersRead({ request, response }: Headers, own: readonly OwnRule[]): Pick<Attributor, 'requestHeaders' | 'responseHeaders'> {
  const both = ['content-type', 'content-encoding', ...own.flatMap(({ when }) => when.header?.name.toLowerCase() ?? [])]
  return {
    requestHeaders: [...new Set([...both, ...request])],
    responseHeaders: [...new Set([...both, ...response, ...headersReadByFormats])],
  }
}

/** What a row gives for some evidence: its provider, or the one that its header names. */
type ProviderOf = (evidence: Evidence) => string | undefined

/** Rows that name a URL or a model are read by the table's own rows for hosts and models. */
interface Readers {
  readonly byUrl: (url: string, path: string) => string | undefined
  readonly byModel: (model: string) => string | undefined
}

function compile(rule: Rule, readers: Readers): ProviderOf {
  switch (rule.kind) {
    case 'response-header':
      return ({ responseHeaders, path }) => named(rule, responseHeaders[rule.of], path, readers)
    case 'request-header':
      return ({ requestHeaders, path }) => named(rule, requestHeaders[rule.of], path, readers)
    case 'body':
      return ({ bodyProvider }) => (bodyProvider === undefined ? undefined : providerNamed(bodyProvider, rule.also))
    case 'host': {
      const matches = hostMatcher(rule)
      return ({ host, path }) => (matches(host, path) ? rule.provider : undefined)
    }
    case 'path':
      return (evidence) => (rule.of.test(wholePath(evidence)) ? rule.provider : undefined)
    case 'path-names':
      return (evidence) => providerNamed(rule.of.exec(wholePath(evidence))?.[1])
    case 'format':
      return (evidence) => (rule.of.includes(evidence.format ?? '') && ofModel(rule, evidence) ? rule.provider : undefined)
    case 'sends': {
      const through = throughLitellm(rule.of)
      return ({ responseHeaders }) => (rule.of in responseHeaders || through in responseHeaders ? rule.provider : undefined)
    }
    case 'client-sends':
      return (evidence) => (rule.of in evidence.requestHeaders && ofModel(rule, evidence) ? rule.provider : undefined)
    case 'segment': {
      const segment = `/${rule.of}/`
      return (evidence) => (wholePath(evidence).includes(segment) && ofModel(rule, evidence) ? rule.provider : undefined)
    }
    case 'prefix':
    case 'model': {
      const matches = modelMatcher(rule)
      return (evidence) => matches(modelOf(evidence))
    }
  }
}

/** A format is spoken by others too: what only its inventor serves tells whether this is one of them. */
function ofModel(rule: { readonly model?: RegExp }, evidence: Evidence): boolean {
  const model = modelOf(evidence)
  return rule.model === undefined || model === undefined || rule.model.test(model)
}

function wholePath({ basePath, path }: Evidence): string {
  return basePath === undefined ? path : basePath + path
}

type ModelRule = Rule & { readonly kind: 'prefix' | 'model' }

function modelMatcher(rule: ModelRule): (model: string | undefined) => string | undefined {
  if (rule.kind === 'model') return (model) => (rule.of.test(model ?? '') ? rule.provider : undefined)
  const prefix = `${rule.of}/`
  return (model) => {
    if (model === undefined || !(model.startsWith(prefix) || model.startsWith(`@${prefix}`))) return undefined
    return rule.unless?.test(model) === true ? undefined : rule.provider
  }
}

function modelReader(table: readonly Rule[]): Readers['byModel'] {
  const matchers = table.filter((rule): rule is ModelRule => rule.kind === 'prefix' || rule.kind === 'model').map(modelMatcher)
  return (model) => {
    for (const ofModel of matchers) {
      const provider = ofModel(model)
      if (provider !== undefined) return provider
    }
    return undefined
  }
}

function modelOf(evidence: Evidence): string | undefined {
  return evidence.requestModel ?? evidence.responseModel
}

function nameOf(rule: Rule): string {
  return `${rule.kind}:${rule.of instanceof RegExp ? rule.of.source : typeof rule.of === 'string' ? rule.of : rule.of[0]}`
}

type HeaderRule = Rule & { readonly kind: 'response-header' | 'request-header' }

function named(rule: HeaderRule, value: string | undefined, path: string, { byUrl, byModel }: Readers): string | undefined {
  if (value === undefined || rule.unless?.test(value) === true) return undefined
  switch (rule.names) {
    case 'url':
      return byUrl(value, path)
    case 'model':
      return byModel(value)
    case 'provider':
      return providerNamed(value, rule.also)
    case 'provider/model':
      return providerNamed(value.includes('/') ? value.split('/')[0] : undefined, rule.also)
  }
}

type HostRule = Rule & { readonly kind: 'host' }

/** A host without wildcard is compared as it is; a pattern is anchored at both ends. */
function hostMatcher(rule: HostRule): (host: string, path: string) => boolean {
  const onPath = (path: string) => rule.path === undefined || rule.path.test(path)
  if (!rule.of.startsWith('.') && !rule.of.includes('*')) return (host, path) => host.toLowerCase() === rule.of && onPath(path)
  const ending = rule.of.slice(rule.of.lastIndexOf('*') + 1)
  const escaped = rule.of.replace(/\./g, '\\.').replace(/\*/g, '[a-z0-9-]*')
  const pattern = new RegExp(`^${rule.of.startsWith('.') ? '[a-z0-9.-]+' : ''}${escaped}$`)
  return (host, path) => {
    const lower = host.toLowerCase()
    return lower.endsWith(ending) && pattern.test(lower) && onPath(path)
  }
}

function urlReader(table: readonly Rule[]): Readers['byUrl'] {
  const hosts = table
    .filter((rule): rule is HostRule => rule.kind === 'host')
    .map((rule) => ({ provider: rule.provider, matches: hostMatcher(rule) }))
  return (url, path) => {
    const host = /^[a-z]+:\/\/(?:[^/@]*@)?([^/:?#]+)/i.exec(url)?.[1]
    return host === undefined ? undefined : hosts.find((rule) => rule.matches(host, path))?.provider
  }
}

/** LiteLLM passes the provider's own headers on under this prefix. */
function throughLitellm(name: string): string {
  return `llm_provider-${name}`
}
