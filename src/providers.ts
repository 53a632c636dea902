/** Provider attribution: walks the table of `provider-rules.ts`. Pure. */
import { headersReadByFormats } from './formats/index.ts'
import { type Names, type Rule, rules } from './provider-rules.ts'

export interface Evidence {
  readonly routeProvider?: string | undefined
  /** Name of the wire format. */
  readonly format?: string | undefined
  readonly requestModel?: string | undefined
  readonly responseModel?: string | undefined
  /** The provider that the response body names. */
  readonly bodyProvider?: string | undefined
  /** Lower-case names. */
  readonly requestHeaders: Readonly<Record<string, string>>
  readonly responseHeaders: Readonly<Record<string, string>>
  /** The upstream's host, without port. */
  readonly host: string
  readonly path: string
}

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

/** The provider, and the row that decided. Pure; every input may be missing or wrong. */
export function attribute(evidence: Evidence): Attribution {
  if (evidence.routeProvider !== undefined) return { provider: evidence.routeProvider, rule: 'route' }
  for (const { name, providerOf } of compiled) {
    const provider = providerOf(evidence)
    if (provider !== undefined) return { provider, rule: name }
  }
  const openaiShaped = /^(openai-|models$|stored-response$|count-tokens$)/.test(evidence.format ?? '')
  return openaiShaped ? { provider: 'openai', rule: 'default' } : { provider: 'unknown', rule: 'none' }
}

/** What a row gives for some evidence: its provider, or the one that its header names. */
type ProviderOf = (evidence: Evidence) => string | undefined

function compile(rule: Rule): ProviderOf {
  switch (rule.kind) {
    case 'response-header':
      return ({ responseHeaders, path }) => named(rule, responseHeaders[rule.of], path)
    case 'request-header':
      return ({ requestHeaders, path }) => named(rule, requestHeaders[rule.of], path)
    case 'body':
      return ({ bodyProvider }) => (bodyProvider === undefined ? undefined : providerNamed(bodyProvider, rule.also))
    case 'host': {
      const matches = hostMatcher(rule)
      return ({ host, path }) => (matches(host, path) ? rule.provider : undefined)
    }
    case 'path':
      return ({ path }) => (rule.of.test(path) ? rule.provider : undefined)
    case 'format':
      return ({ format }) => (format !== undefined && rule.of.includes(format) ? rule.provider : undefined)
    case 'sends': {
      const through = throughLitellm(rule.of)
      return ({ responseHeaders }) => (rule.of in responseHeaders || through in responseHeaders ? rule.provider : undefined)
    }
    case 'client-sends':
      return ({ requestHeaders }) => (rule.of in requestHeaders ? rule.provider : undefined)
    case 'segment': {
      const segment = `/${rule.of}/`
      return ({ path }) => (path.includes(segment) ? rule.provider : undefined)
    }
    case 'prefix': {
      const prefix = `${rule.of}/`
      return (evidence) => {
        const model = modelOf(evidence)
        if (model === undefined || !(model.startsWith(prefix) || model.startsWith(`@${prefix}`))) return undefined
        return rule.unless?.test(model) === true ? undefined : rule.provider
      }
    }
    case 'model':
      return (evidence) => (rule.of.test(modelOf(evidence) ?? '') ? rule.provider : undefined)
  }
}

function modelOf(evidence: Evidence): string | undefined {
  return evidence.requestModel ?? evidence.responseModel
}

function nameOf(rule: Rule): string {
  return `${rule.kind}:${rule.of instanceof RegExp ? rule.of.source : typeof rule.of === 'string' ? rule.of : rule.of[0]}`
}

function named(
  rule: Rule & { readonly names: string; readonly also?: Names; readonly unless?: RegExp },
  value: string | undefined,
  path: string,
): string | undefined {
  if (value === undefined || rule.unless?.test(value) === true) return undefined
  if (rule.names === 'url') return providerOfUrl(value, path)
  return providerNamed(rule.names === 'provider' ? value : value.includes('/') ? value.split('/')[0] : undefined, rule.also)
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

const hostRules = rules
  .filter((rule): rule is HostRule => rule.kind === 'host')
  .map((rule) => ({ provider: rule.provider, matches: hostMatcher(rule) }))

function providerOfUrl(url: string, path: string): string | undefined {
  const host = /^[a-z]+:\/\/(?:[^/@]*@)?([^/:?#]+)/i.exec(url)?.[1]
  return host === undefined ? undefined : hostRules.find((rule) => rule.matches(host, path))?.provider
}

/** LiteLLM passes the provider's own headers on under this prefix. */
function throughLitellm(name: string): string {
  return `llm_provider-${name}`
}

const compiled = rules.map((rule) => ({ name: nameOf(rule), providerOf: compile(rule) }))

const namesOf = (...kinds: readonly Rule['kind'][]): readonly string[] =>
  rules.flatMap((rule) => (kinds.includes(rule.kind) && typeof rule.of === 'string' ? [rule.of] : []))

/** Request headers that are kept for attribution and for reading the body, lower-case. No secrets among them. */
export const attributionRequestHeaders: readonly string[] = [
  'content-type',
  'content-encoding',
  ...namesOf('request-header', 'client-sends'),
]

/** Response headers that are kept for attribution, for framing and decoding, and for the formats, lower-case. */
export const attributionResponseHeaders: readonly string[] = [
  'content-type',
  'content-encoding',
  ...namesOf('response-header', 'sends'),
  ...namesOf('sends').map(throughLitellm),
  ...headersReadByFormats,
]
