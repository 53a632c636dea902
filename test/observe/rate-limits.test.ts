import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { rateLimitsOf, retryAfterOf, tellsRateLimit } from '../../src/observe/rate-limits.ts'

const at = Date.parse('2026-11-28T12:00:00Z')

/** As the providers' references show their heads; the numbers are made up. */
const heads: Readonly<Record<string, readonly [Readonly<Record<string, string>>, unknown]>> = {
  OpenAI: [
    {
      ...{ 'x-ratelimit-limit-requests': '500', 'x-ratelimit-remaining-requests': '499', 'x-ratelimit-reset-requests': '120ms' },
      ...{ 'x-ratelimit-limit-tokens': '30000', 'x-ratelimit-remaining-tokens': '29000', 'x-ratelimit-reset-tokens': '6m0.5s' },
    },
    [
      { kind: 'requests', limit: 500, remaining: 499, resetMs: 120 },
      { kind: 'tokens', limit: 30000, remaining: 29000, resetMs: 360_500 },
    ],
  ],
  Anthropic: [
    {
      'anthropic-ratelimit-input-tokens-limit': '40000',
      'anthropic-ratelimit-input-tokens-remaining': '39000',
      'anthropic-ratelimit-input-tokens-reset': '2026-11-28T12:00:30Z',
      'anthropic-priority-output-tokens-remaining': '7',
    },
    [
      { kind: 'input_tokens', limit: 40000, remaining: 39000, resetMs: 30_000 },
      { kind: 'priority_output_tokens', remaining: 7 },
    ],
  ],
  'a plan of Claude': [
    { 'anthropic-ratelimit-unified-5h-utilization': '0.25', 'anthropic-ratelimit-unified-5h-reset': `${at / 1000 + 60}` },
    [{ kind: 'unified_5h', limit: 100, remaining: 75, resetMs: 60_000 }],
  ],
  'a plan of Codex': [
    { 'x-codex-primary-used-percent': '98', 'x-codex-primary-reset-after-seconds': '3600', 'x-codex-primary-window-minutes': '300' },
    [{ kind: 'codex_primary', limit: 100, remaining: 2, resetMs: 3_600_000 }],
  ],
  'Azure OpenAI': [
    { 'x-ratelimit-remaining-requests': '9', 'x-ratelimit-limit-requests': '10', 'x-ratelimit-renewalperiod-requests': '60' },
    [{ kind: 'requests', limit: 10, remaining: 9 }],
  ],
  Cerebras: [
    {
      ...{ 'x-ratelimit-limit-requests-day': '14400', 'x-ratelimit-remaining-requests-day': '14399' },
      'x-ratelimit-reset-requests-day': '3563.2178871631622',
    },
    [{ kind: 'requests_day', limit: 14400, remaining: 14399, resetMs: 3563217.8871631622 }],
  ],
  Mistral: [
    {
      ...{ 'x-ratelimit-limit-req-minute': '100', 'x-ratelimit-remaining-req-minute': '98', 'x-ratelimit-tokens-query-cost': '31' },
      ...{ 'ratelimitbysize-limit': '500000', 'ratelimitbysize-remaining': '467982', 'ratelimitbysize-reset': '23' },
      ...{ 'x-ratelimitbysize-limit-month': '10000000', 'x-ratelimitbysize-remaining-month': '9000000' },
    },
    [
      { kind: 'requests_minute', limit: 100, remaining: 98 },
      { kind: 'size', limit: 500000, remaining: 467982, resetMs: 23_000 },
      { kind: 'size_month', limit: 10000000, remaining: 9000000 },
    ],
  ],
  Together: [
    { ...{ 'x-ratelimit-limit': '10', 'x-ratelimit-remaining': '9', 'x-ratelimit-reset': '1' }, ...{ 'x-tokenlimit-remaining': '7' } },
    [
      { kind: 'requests', limit: 10, remaining: 9, resetMs: 1000 },
      { kind: 'tokens', remaining: 7 },
    ],
  ],
  OpenRouter: [
    { 'x-ratelimit-limit': '20', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${at + 1500}` },
    [{ kind: 'requests', limit: 20, remaining: 0, resetMs: 1500 }],
  ],
  'LiteLLM: its own word before the one that it passes on': [
    { 'llm_provider-x-ratelimit-remaining-tokens': '1', 'x-ratelimit-remaining-tokens': '2', 'llm_provider-x-ratelimit-limit-tokens': '3' },
    [{ kind: 'tokens', remaining: 2, limit: 3 }],
  ],
  "LiteLLM's key": [
    { 'x-litellm-key-rpm-limit': '60', 'x-litellm-key-tpm-limit': 'None', 'x-litellm-key-max-budget': '5', 'x-litellm-key-spend': '1.5' },
    [
      { kind: 'key_requests_minute', limit: 60 },
      { kind: 'key_usd', limit: 5, remaining: 3.5 },
    ],
  ],
  'the IETF, with a policy for each name': [
    { ratelimit: '"default";r=50;t=30, "daily";r=900;t=3600', 'ratelimit-policy': '"default";q=100;w=60, "daily";q=1000;w=86400' },
    [
      { kind: 'requests', remaining: 50, resetMs: 30_000, limit: 100 },
      { kind: 'daily', remaining: 900, resetMs: 3_600_000, limit: 1000 },
    ],
  ],
  'the IETF, before': [{ ratelimit: 'limit=100, remaining=50, reset=5' }, [{ kind: 'requests', limit: 100, remaining: 50, resetMs: 5000 }]],
  'three fields of the IETF': [
    { 'ratelimit-limit': '100, 100;w=60', 'ratelimit-remaining': '50', 'ratelimit-reset': '5' },
    [{ kind: 'requests', limit: 100, remaining: 50, resetMs: 5000 }],
  ],
}

describe('the limits that a head tells', () => {
  it.each(Object.entries(heads))('%s', (_name, [headers, limits]) => {
    expect(rateLimitsOf(headers, at)).toEqual(limits)
    expect(Object.keys(headers).filter((name) => !tellsRateLimit(name))).toEqual([])
  })

  it.each([
    ['nothing', {}],
    [
      'what is no number',
      { 'x-ratelimit-limit-requests': 'XXX', 'x-ratelimit-remaining-tokens': '-1', 'x-ratelimit-limit-tokens': 'None' },
    ],
    ['a time alone', { 'x-ratelimit-reset-tokens': '6s' }],
    ['numbers beyond all measure', { 'x-ratelimit-limit-tokens': '9'.repeat(400) }],
    ['a kind as long as a book', { [`x-ratelimit-limit-${'a'.repeat(41)}`]: '1' }],
    ['cost and state of a query', { 'x-ratelimit-tokens-query-cost': '31', 'x-ratelimit-abusepenalty-active': 'False' }],
    ['a credential', { 'x-ratelimit-key': 'sk-secret', 'x-codex-plan-type': 'plus', 'x-ratelimit-limit-requests': 'sk-secret' }],
  ])('%s is none', (_name, headers) => {
    expect(rateLimitsOf(headers, at)).toBeUndefined()
  })

  it('are sixteen at most', () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`x-ratelimit-limit-kind${index}`, '1']))
    expect(rateLimitsOf(many, at)).toHaveLength(16)
  })
})

it.each([
  ['7', 7000],
  ['0', 0],
  ['2m59.56s', 179_560],
  ['Sat, 28 Nov 2026 12:00:09 GMT', 9000],
  ['Sat, 28 Nov 2026 11:00:00 GMT', 0],
  ['soon', undefined],
  ['', undefined],
])('Retry-After: %s is %s ms', (text, ms) => {
  expect(retryAfterOf({ 'retry-after': text }, at)).toBe(ms)
})

it('Milliseconds of their own stand before seconds.', () => {
  expect(retryAfterOf({ 'retry-after': '1', 'retry-after-ms': '250' }, at)).toBe(250)
})

/** Recordings that may lie beside the project. */
const corpora = ['corpus', 'corpus2'].map((name) => new URL(`../../../shared/${name}/`, import.meta.url)).filter((one) => existsSync(one))

if (corpora.length > 0)
  it('Recordings of ten providers or more tell limits that are read.', () => {
    const providers = new Set<string>()
    for (const folder of corpora) {
      for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
        const { response } = JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as { response?: { headers?: Record<string, unknown> } }
        const headers = Object.entries(response?.headers ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)])
        if (rateLimitsOf(Object.fromEntries(headers), at) !== undefined) providers.add(file.split('__')[0] as string)
      }
    }
    expect(providers.size, [...providers].join(', ')).toBeGreaterThanOrEqual(10)
  })
