import { describe, expect, it } from 'vitest'
import { clientOf } from '../../src/conclude/clients.ts'
import { createLabelReader, type LabelFault } from '../../src/conclude/labels.ts'
import { labelNeeds, labels } from '../../src/config/labels.ts'
import type { Json } from '../../src/lib/json.ts'
import { queryInputs } from '../../src/proxy/label-inputs.ts'
import { exchangeOf, type Overrides } from '../sinks/exchange-of.ts'

const salt = Buffer.from('00'.repeat(32), 'hex')

function read(config: unknown, given: Overrides & { caller?: string } = {}, outline?: Json, words: Record<string, string> = {}) {
  const dropped: [string, LabelFault][] = []
  const reader = createLabelReader({
    labels: labels(config),
    mapOf: () => words,
    salt,
    onDropped: (label, fault) => dropped.push([label, fault]),
  })
  return { labels: reader(exchangeOf(given), outline), dropped }
}
const headers = (requestHeaders: Record<string, string>) => ({ opening: { requestHeaders } })

describe('a label', () => {
  it.each([
    ['a header', 'header:x-team', headers({ 'x-team': ' search ' }), undefined, 'search'],
    [
      'a pair of a list',
      'pair:x-tokenweir-labels:team',
      headers({ 'x-tokenweir-labels': 'feature=rag, team=search' }),
      undefined,
      'search',
    ],
    ['a pair as LiteLLM writes tags', 'pair:x-litellm-tags:team', headers({ 'x-litellm-tags': 'prod,team:search' }), undefined, 'search'],
    ['a value with = and : in it', 'pair:x-l:team', headers({ 'x-l': 'team=a=b:c' }), undefined, 'a=b:c'],
    [
      'a member of a JSON header',
      'pair:x-portkey-metadata:team',
      headers({ 'x-portkey-metadata': '{"team":"search"}' }),
      undefined,
      'search',
    ],
    ['baggage', 'baggage:team', headers({ baggage: 'user=1, team=s%C3%A9arch;p=1;q' }), undefined, 'séarch'],
    ['a member of the body', 'body:metadata.team', {}, { metadata: { team: 'search' } }, 'search'],
    ['a number in the body', 'body:metadata.team', {}, { metadata: { team: 7 } }, '7'],
    ['a list in the body', 'body:metadata.tags', {}, { metadata: { tags: ['a', 'b'] } }, 'a,b'],
    ['the query', 'query:team', { opening: { labelInputs: { 'query:team': 'search' } } }, undefined, 'search'],
    ['a claim known at once', 'claim:team', { opening: { labelInputs: { 'claim:team': 'search' } } }, undefined, 'search'],
    ['a claim known later', 'claim:team', { ending: { labelInputs: { 'claim:team': 'search' } } }, undefined, 'search'],
    ['a segment of the path', 'path:2', { opening: { path: '/teams/s%C3%A9arch/v1/chat' } }, undefined, 'séarch'],
    ['the caller', 'caller', { caller: 'key:7ce877b643' }, undefined, 'key:7ce877b643'],
    ['a constant', 'constant:none', {}, undefined, 'none'],
    ['the client', 'client', headers({ 'user-agent': 'OpenAI/Python 2.8.1' }), undefined, 'openai-python'],
    ['the first source that has it', 'header:x-a, header:x-b, constant:c', headers({ 'x-a': ' ', 'x-b': 'b' }), undefined, 'b'],
  ] as const)('is %s', (_name, from, given, outline, value) => {
    expect(read({ team: from }, given, outline)).toEqual({ labels: { team: value }, dropped: [] })
  })

  it('is absent where nothing has it', () => {
    const from =
      'header:x-team, pair:x-l:team, baggage:team, body:metadata.team, body:__proto__, query:team, claim:team, path:9, client, caller'
    expect(read({ team: from }, headers({ baggage: '%', 'x-l': 'team' }), { metadata: { team: { deep: 1 } } }).labels).toBeUndefined()
  })

  it.each([
    ['too_long', 'a'.repeat(201)],
    ['not_text', 'a\u0000b'],
    ['not_text', 'a\u202eb'],
    ['not_text', 'a\ufffdb'],
    ['credential', 'sk-proj-1234567890abcdef'],
    ['credential', 'Bearer abc'],
    ['credential', 'eyJhbGciOi.eyJzdWIiOi.sig'],
    ['credential', 'AIzaSyA1234567890123456789012'],
    ['credential', 'ghp_abcdefghijklmnop'],
    ['credential', '-----BEGIN PRIVATE KEY-----'],
  ] as const)('that is %s is not recorded, is counted, and the next source is asked', (fault, value) => {
    expect(read({ team: 'header:x-team, constant:else' }, headers({ 'x-team': value }))).toEqual({
      labels: { team: 'else' },
      dropped: [['team', fault]],
    })
  })

  it('has other words by its map, by its file before that, and is a hash where neither has one', () => {
    const config = { team: { from: 'header:x-team', map: { a: 'search', b: 'ads' }, hash: true } }
    const of = (value: string) => read(config, headers({ 'x-team': value }), undefined, { b: 'from the file' }).labels?.['team']
    expect([of('a'), of('b'), of('c')]).toEqual(['search', 'from the file', expect.stringMatching(/^hash:[0-9a-f]{10}$/)])
    expect(of('c')).toBe(of('c'))
    expect(of('constructor')).toMatch(/^hash:/)
  })
})

describe('the presets', () => {
  const all = 'session, user, client, tags'
  const session = '01234567-89ab-cdef-0123-456789abcdef'

  it.each([
    [
      'Claude Code',
      headers({ 'user-agent': 'claude-cli/2.0.14 (external, cli)' }),
      { metadata: { user_id: JSON.stringify({ device_id: 'd', account_uuid: 'acc-1', session_id: session }) } },
      { session, user: 'acc-1', client: 'claude-code' },
    ],
    [
      'Claude Code as it was',
      headers({ 'user-agent': 'claude-cli/1.0.83 (external, cli)' }),
      { metadata: { user_id: `user_${'ab'.repeat(32)}_account_acc-1_session_${session}` } },
      { session, user: 'acc-1', client: 'claude-code' },
    ],
    [
      'Claude Code without an account',
      {},
      { metadata: { user_id: `user_${'ab'.repeat(32)}_account__session_${session}` } },
      { session, user: 'ab'.repeat(32) },
    ],
    ['Codex', headers({ 'user-agent': 'codex_cli_rs/0.46.0 (Linux)', session_id: session }), {}, { session, client: 'codex' }],
    ["OpenAI's fields", {}, { user: 'u-1', safety_identifier: 's-1', metadata: { session_id: 'c-1' } }, { user: 's-1', session: 'c-1' }],
    ["Anthropic's user", {}, { metadata: { user_id: 'u-1' } }, { user: 'u-1' }],
    [
      "LiteLLM's headers",
      headers({ 'x-litellm-tags': 'prod,team:search', 'x-litellm-session-id': 's' }),
      {},
      { session: 's', tags: 'prod,team:search' },
    ],
    [
      "Portkey's metadata",
      headers({ 'x-portkey-metadata': '{"_user":"ada","team":"search","env":"prod"}' }),
      {},
      { user: 'ada', tags: 'team=search,env=prod' },
    ],
    ['a conversation', headers({ 'x-session-id': 'x-1' }), {}, { session: 'x-1' }],
  ] as const)('know %s', (_name, given, outline, found) => {
    expect(read(all, given, outline)).toEqual({ labels: found, dropped: [] })
  })

  it('say nothing of a bare request', () => {
    expect(read(all, {}, { model: 'm' }).labels).toBeUndefined()
  })
})

it.each([
  ['AsyncOpenAI/Python 1.99.0', 'openai-python'],
  ['OpenAI/JS 6.1.0', 'openai-node'],
  ['Anthropic/Python 0.70', 'anthropic-python'],
  ['Anthropic/JS 0.65', 'anthropic-typescript'],
  ['google-genai-sdk/1.30.0 gl-node/v24', 'google-genai'],
  ['GeminiCLI/0.9 (linux; x64)', 'gemini-cli'],
  ['Mozilla/5.0 (Macintosh) Cursor/1.7 Chrome/138', 'cursor'],
  ['Mozilla/5.0 (X11)', 'browser'],
  ['python-requests/2.32', 'python-requests'],
  ['My Tool', 'my'],
  ['', undefined],
  ['(nobody)', undefined],
  ['x'.repeat(61), undefined],
])('User-Agent %s is %s', (agent, client) => {
  expect(clientOf(agent)).toBe(client)
})

it('What labels need of a request is asked for, and nothing else.', () => {
  const needs = labelNeeds(labels({ a: 'header:x-a, client, query:team', b: 'pair:x-b:k, claim:org, baggage:k' }))
  expect(needs).toEqual({ headers: ['x-a', 'x-b', 'baggage', 'user-agent'], queries: ['team'], claims: ['org'] })
  expect(queryInputs('/v1?team=search&other=1', needs.queries)).toEqual({ 'query:team': 'search' })
  expect(queryInputs('/v1?other=1', needs.queries)).toBeUndefined()
})

describe('the configuration', () => {
  it.each([
    [{ team: 'header:authorization' }, /can hold a credential/],
    [{ team: 'header:x-api-key' }, /can hold a credential/],
    [{ team: 'pair:cookie:team' }, /can hold a credential/],
    [{ team: 'query:api_key' }, /can hold a credential/],
    [{ team: 'hedder:x-team' }, /is no source of a label/],
    [{ team: 'body:a.b.c.d' }, /is no path into a body/],
    [{ team: 'path:0' }, /is no segment/],
    [{ Team: 'client' }, /is no name of a label/],
    [{ team: { map: {} } }, /Nothing says where the label stands/],
    [{ team: { from: 'client', colour: 1 } }, /There is no such key/],
    [{ team: { from: 'client', metric: 'yes' } }, /is neither true nor false/],
    [{ team: { from: 'client', map: { a: [] } } }, /is no text/],
    [{ team: true }, /is no source/],
    ['session, team', /is no preset/],
    [7, /is no mapping of labels/],
    [Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`l${at}`, 'client'])), /16 at most/],
  ])('%j is refused', (config, message) => {
    expect(() => labels(config)).toThrow(message)
  })

  it('takes presets by name, with settings of their own', () => {
    expect(labels({ session: true, client: { metric: true } })).toMatchObject([
      { name: 'session', metric: false },
      { name: 'client', from: [{ kind: 'client' }], metric: true },
    ])
    expect(labels('none')).toEqual([])
  })
})
