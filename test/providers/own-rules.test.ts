/** Attribution by the operator's own rules, and by a row that is new in the table. */
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { createAttributor } from '../../src/conclude/providers/attribution.ts'
import type { Evidence } from '../../src/conclude/providers/evidence.ts'
import { type Rule, rules } from '../../src/conclude/providers/rules.ts'
import { wildcard } from '../../src/lib/wildcard.ts'

const nothing: Evidence = { requestHeaders: {}, responseHeaders: {}, host: 'gateway.internal', path: '/v1/chat/completions' }

describe('a pattern', () => {
  it.each([
    ['gpt-4o', 'gpt-4o', true],
    ['gpt-4o', 'gpt-4o-mini', false],
    ['gpt-4o', 'my-gpt-4o', false],
    ['gpt-*', 'gpt-4o', true],
    ['gpt-*', 'my-gpt-4o', false],
    ['*.internal', 'a.b.internal', true],
    ['*.internal', 'internal', false],
    ['*.internal', 'a.internal.evil.test', false],
    ['*', '', true],
    ['a*b*c', 'a-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['ab*ba', 'aba', false],
    ['a*bc*c', 'abc', false],
    ['a.c', 'abc', false],
    ['a**c', 'abc', true],
  ])('%j and %j: %j', (pattern, text, matches) => {
    expect(wildcard(pattern)(text)).toBe(matches)
  })

  it('with many wildcards does not make a long text crawl', () => {
    const matches = wildcard(`${'a*'.repeat(40)}b`)
    // One that crawls would not be through in years; the limit is only there to say so.
    expect(runInNewContext('matches(text)', { matches, text: 'a'.repeat(100_000) }, { timeout: 30_000 })).toBe(false)
  })
})

describe('a rule of one\u2019s own', () => {
  const own = [
    { provider: 'blue', when: { header: { name: 'X-Backend', value: 'blue-*' } } },
    { provider: 'tagged', when: { header: { name: 'x-tag' } } },
    { provider: 'team.a', when: { host: '*.Example.com', path: '/team-a/*', model: 'gpt-*' } },
    { provider: 'again', when: { path: '/team-a/*' } },
  ]
  const { attribute, requestHeaders, responseHeaders } = createAttributor({ own })
  const openai = { host: 'api.openai.com' }

  it.each([
    ['by a header of the answer', { ...openai, responseHeaders: { 'x-backend': 'blue-7' } }, 'blue', 'own:0'],
    ['by a header of the request', { ...openai, requestHeaders: { 'x-backend': 'blue-7' } }, 'blue', 'own:0'],
    [
      'by the answer\u2019s header rather than the request\u2019s',
      { ...openai, responseHeaders: { 'x-backend': 'red' }, requestHeaders: { 'x-backend': 'blue-7' } },
      'openai',
      'host:api.openai.com',
    ],
    ['by a header that is there', { ...openai, requestHeaders: { 'x-tag': '' } }, 'tagged', 'own:1'],
    ['by all that it names', { host: 'EU.example.COM', path: '/team-a/v1', requestModel: 'gpt-4o' }, 'team.a', 'own:2'],
    ['by all that it names, not by some', { host: 'eu.example.com', path: '/team-a/v1', requestModel: 'claude-x' }, 'again', 'own:3'],
    ['by the model that answered', { host: 'eu.example.com', path: '/team-a/v1', responseModel: 'gpt-4o' }, 'team.a', 'own:2'],
    ['below a route\u2019s word', { routeProvider: 'route', path: '/team-a/v1' }, 'route', 'route'],
    ['above what a gateway says', { path: '/team-a/v1', responseHeaders: { 'x-portkey-provider': 'groq' } }, 'again', 'own:3'],
    ['not by a part of the path', { ...openai, path: '/x/team-a/v1' }, 'openai', 'host:api.openai.com'],
  ] as const)('holds %s', (_title, evidence, provider, rule) => {
    expect(attribute({ ...nothing, ...evidence })).toEqual({ provider, rule })
  })

  it('has its headers kept, of both sides', () => {
    for (const names of [requestHeaders, responseHeaders]) expect(names).toEqual(expect.arrayContaining(['x-backend', 'x-tag']))
  })
})

describe('adding a provider', () => {
  it.each([
    [
      { kind: 'host', of: '.weir.example', provider: 'weir' },
      { host: 'eu.weir.example', responseHeaders: {} },
    ],
    [{ kind: 'sends', of: 'x-weir-region', provider: 'weir' }, { responseHeaders: { 'x-weir-region': 'eu' } }],
    [{ kind: 'sends', of: 'x-weir-region', provider: 'weir' }, { responseHeaders: { 'llm_provider-x-weir-region': 'eu' } }],
    [
      { kind: 'model', of: /^weir-\d/, provider: 'weir' },
      { responseHeaders: {}, requestModel: 'weir-1-large' },
    ],
    [{ kind: 'prefix', of: 'weir', provider: 'weir' }, { responseHeaders: { 'x-litellm-model-group': 'weir/large' } }],
    [
      { kind: 'host', of: 'api.weir.example', provider: 'weir' },
      { responseHeaders: { 'x-litellm-model-api-base': 'https://api.weir.example/v1' } },
    ],
  ] satisfies [Rule, Partial<Evidence>][])('is one row: %j', (row, evidence) => {
    const withRow = createAttributor({ table: [row, ...rules] })
    expect(withRow.attribute({ ...nothing, ...evidence }).provider).toBe('weir')
    expect(createAttributor().attribute({ ...nothing, ...evidence }).provider).not.toBe('weir')
    for (const name of Object.keys(evidence.responseHeaders)) expect(withRow.responseHeaders).toContain(name)
  })
})
