/**
 * The limits on rate that the head of an answer tells: what is limited, how much of it is left, and when it is whole again. Every provider spells
 * them in its own way; only numbers and times are kept of them.
 * Sources: the API references of OpenAI, Anthropic, Azure OpenAI, Groq, Mistral, Cerebras, Together, OpenRouter and LiteLLM
 * (docs.litellm.ai/docs/proxy/response_headers); draft-ietf-httpapi-ratelimit-headers; openai/codex for the windows of its plans.
 */
import type { RateLimit } from '../lib/exchange.ts'

type Headers = Readonly<Record<string, string>>
type Field = 'limit' | 'remaining' | 'reset' | 'utilization'
type Draft = { -readonly [Key in keyof RateLimit]: RateLimit[Key] }

const limitsMax = 16
const kindCharsMax = 40
/** Numbers beyond these are no seconds but a moment since the epoch, in seconds and in milliseconds. */
const epochSecondsMin = 1e9
const epochMsMin = 1e12

/** Whether a response header, by its lower-case name, may tell a limit. Asked of every header of every answer. */
export function tellsRateLimit(name: string): boolean {
  return (
    name.includes('ratelimit') ||
    name.startsWith('retry-after') ||
    name.startsWith('x-litellm-key-') ||
    name.startsWith('x-codex-') ||
    name.startsWith('x-tokenlimit-') ||
    name.startsWith('anthropic-priority-') ||
    name.startsWith('x-rate-limit')
  )
}

/** `at`: when the head came, in milliseconds since the epoch. What cannot be read is left out. */
export function rateLimitsOf(headers: Headers, at: number): readonly RateLimit[] | undefined {
  let found: Map<string, Draft> | undefined
  const put = (kind: string, field: Field, text: string, isFallback = false) => {
    const value = field === 'reset' ? waitMs(text, at) : numberOf(text)
    if (value === undefined || kind.length > kindCharsMax) return
    found ??= new Map()
    let limit = found.get(kind)
    if (limit === undefined) {
      if (found.size >= limitsMax) return
      found.set(kind, (limit = { kind }))
    }
    if (field === 'utilization') Object.assign(limit, { limit: 100, remaining: Math.max(0, 100 - 100 * value) })
    else if (field === 'reset') limit.resetMs = isFallback ? (limit.resetMs ?? value) : value
    else limit[field] = isFallback ? (limit[field] ?? value) : value
  }
  for (const name in headers) {
    if (!tellsRateLimit(name)) continue
    const value = headers[name] as string
    if (name === 'ratelimit' || name === 'ratelimit-policy') putStructured(value, put)
    else putNamed(name, value, put)
  }
  putKeyOfLitellm(headers, put)
  if (found === undefined) return undefined
  // A time alone, or a policy without what is left of it, says nothing of how near the limit is.
  const told = [...found.values()].filter(({ limit, remaining }) => limit !== undefined || remaining !== undefined)
  return told.length === 0 ? undefined : told
}

/** Milliseconds that the upstream asks to wait; undefined when it does not, or not in words that can be read. */
export function retryAfterOf(headers: Headers, at: number): number | undefined {
  const ms = numberOf(headers['retry-after-ms'] ?? '')
  if (ms !== undefined) return ms
  const text = headers['retry-after']
  return text === undefined ? undefined : waitMs(text, at)
}

type Put = (kind: string, field: Field, text: string, isFallback?: boolean) => void

/** `x-ratelimit-remaining-tokens-minute`, `anthropic-ratelimit-input-tokens-limit`, `x-ratelimitbysize-limit-month`, `ratelimit-reset`, … */
const named =
  /^(llm_provider-)?(?:x-)?(?:[a-z]+-)?(?:rate-?limit(bysize)?|(token)limit)-(?:(limit|remaining|reset)(?:-(.+))?|(.+)-(limit|remaining|reset|utilization))$/
/** `anthropic-priority-input-tokens-remaining`. */
const priority = /^anthropic-(priority-.+)-(limit|remaining|reset)$/
const codex = /^x-codex-(primary|secondary)-(used-percent|reset-after-seconds)$/

function putNamed(name: string, value: string, put: Put): void {
  const inPriority = priority.exec(name)
  if (inPriority !== null) {
    put(kindOf(inPriority[1]), inPriority[2] as Field, value)
    return
  }
  const ofCodex = codex.exec(name)
  if (ofCodex !== null) {
    const kind = `codex_${ofCodex[1]}`
    const used = numberOf(value)
    if (used !== undefined && ofCodex[2] === 'used-percent') put(kind, 'utilization', String(used / 100))
    else if (ofCodex[2] === 'reset-after-seconds') put(kind, 'reset', value)
    return
  }
  const [, throughLitellm, bySize, tokens, first, kindAfter, kindBefore, last] = named.exec(name) ?? []
  const field = (first ?? last) as Field | undefined
  if (field === undefined) return
  const kind = kindOf(kindAfter ?? kindBefore)
  const sized = bySize === undefined ? kind : `size${kind === 'requests' ? '' : `_${kind}`}`
  put(tokens === undefined ? sized : 'tokens', field, value, throughLitellm !== undefined)
}

/** `input-tokens` → `input_tokens`, `req-minute` → `requests_minute`. Without a word for it, requests are what is limited. */
function kindOf(words: string | undefined): string {
  if (words === undefined) return 'requests'
  const kind = words.replace(/[^a-z0-9]+/g, '_').replace(/^_+|_+$/g, '')
  return kind === '' ? 'requests' : kind.replace(/^req(?=_|$)/, 'requests')
}

/**
 * The field `RateLimit` of the IETF: `"daily";r=50;t=3600` with `"daily";q=100` in its policy; before, one limit as `limit=100, remaining=50, reset=5`.
 */
function putStructured(text: string, put: Put): void {
  const plain = [...text.matchAll(/(?:^|[,\s])(limit|remaining|reset)=(\d+)/g)]
  for (const [, field, value] of plain) put('requests', field as Field, value as string)
  if (plain.length > 0) return
  const fields = { r: 'remaining', q: 'limit', t: 'reset' } as const
  for (const [, name, parameters] of text.matchAll(/"([^"]{1,60})"((?:\s*;\s*[a-z]+=[^,;]+)*)/g)) {
    const kind = name === 'default' ? 'requests' : kindOf(name?.toLowerCase())
    for (const [, key, value] of (parameters as string).matchAll(/;\s*([rqt])=(\d+)/g)) put(kind, fields[key as 'r'], value as string)
  }
}

/** LiteLLM's own limits of the key that called; a budget is a limit in USD. */
function putKeyOfLitellm(headers: Headers, put: Put): void {
  put('key_requests_minute', 'limit', headers['x-litellm-key-rpm-limit'] ?? '')
  put('key_tokens_minute', 'limit', headers['x-litellm-key-tpm-limit'] ?? '')
  const budget = numberOf(headers['x-litellm-key-max-budget'] ?? '')
  const spent = numberOf(headers['x-litellm-key-spend'] ?? '')
  if (budget === undefined || spent === undefined) return
  put('key_usd', 'limit', String(budget))
  put('key_usd', 'remaining', String(Math.max(0, budget - spent)))
}

/** Of `100`, `0.5`, or `100, 100;w=60` (a limit with its policy behind it). */
function numberOf(text: string): number | undefined {
  const digits = /^\s*(\d{1,15}(?:\.\d{1,20})?(?:e-?\d{1,2})?)\s*(?:[,;].*)?$/.exec(text)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

const unitMs = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const

/** Milliseconds from `at`: of seconds, of `6m0s` or `120ms`, of a moment as a date or since the epoch. One that is over is 0. */
function waitMs(text: string, at: number): number | undefined {
  const number = numberOf(text)
  if (number !== undefined) {
    if (number >= epochMsMin) return Math.max(0, number - at)
    return number >= epochSecondsMin ? Math.max(0, number * 1000 - at) : number * 1000
  }
  const spans = /^\s*((?:\d{1,12}(?:\.\d{1,9})?(?:ms|[dhms]))+)\s*$/.exec(text)?.[1]
  if (spans !== undefined) {
    let ms = 0
    for (const [, value, unit] of spans.matchAll(/(\d+(?:\.\d+)?)(ms|[dhms])/g)) ms += Number(value) * unitMs[unit as keyof typeof unitMs]
    return ms
  }
  const moment = /^\s*(?:\d{4}-\d\d-\d\dT|[A-Z][a-z]{2},\s)/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(moment) ? undefined : Math.max(0, moment - at)
}
