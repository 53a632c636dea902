import { describe, expect, it } from 'vitest'
import type { Route } from '../../src/config/config.ts'
import { createRouter } from '../../src/proxy/routes.ts'
import { rawClient, rawUpstream, startProxy } from './harness.ts'

const route = (name: string, prefix: string, upstream: string, stripPrefix = false): Route => ({
  ...{
    name,
    prefix,
    stripPrefix,
    upstream: new URL(upstream),
    provider: undefined,
    host: 'upstream',
    disconnect: 'cancel',
    trace: 'child',
  },
})
const find = createRouter([
  route('rest', '/', 'http://rest.example/base/'),
  route('openai', '/openai', 'https://api.example/v9', true),
  route('azure', '/openai/azure/', 'https://azure.example'),
])
const found = (path: string) => {
  const target = find(path, {})
  return target === undefined ? undefined : [target.destination.route.name, target.path]
}

it.each([
  ['/v1/models?x=%2F', ['rest', '/base/v1/models?x=%2F']],
  ['//twice//slashed', ['rest', '/base//twice//slashed']],
  ['/openai/v1/chat/completions?a=b', ['openai', '/v9/v1/chat/completions?a=b']],
  ['/openai', ['openai', '/v9']],
  ['/openai?x', ['openai', '/v9?x']],
  ['/openaix/v1', ['rest', '/base/openaix/v1']],
  ['/openai/azure/x', ['azure', '/openai/azure/x']],
  ['/', ['rest', '/base/']],
])('%s goes to %j', (path, expected) => {
  expect(found(path)).toEqual(expected)
})

it('finds nothing where no prefix matches', () => {
  expect(createRouter([route('only', '/v1', 'http://a.example')])('/v2/x', {})).toBeUndefined()
})

it('gives the root path to an upstream without one when the whole path is the prefix', () => {
  expect(createRouter([route('only', '/v1', 'http://a.example', true)])('/v1', {})?.path).toBe('/')
})

describe('by host and header', () => {
  const when = (name: string, prefix: string, condition: Route['when']) => ({
    ...route(name, prefix, `http://${name}.example`),
    when: condition,
  })
  const find = createRouter([
    route('rest', '/', 'http://rest.example'),
    route('openai', '/openai', 'http://openai.example'),
    when('any-internal', '/', { host: '*.internal' }),
    when('internal-openai', '/openai', { host: '*.internal' }),
    when('claude', '/', { host: 'claude.internal' }),
    when('any-team', '/', { header: { name: 'x-team' } }),
    when('blue', '/', { header: { name: 'x-team', value: 'blue*' } }),
    when('address', '/', { host: '::1' }),
  ])
  const found = (path: string, host: string | undefined, team?: string) => find(path, { host, 'x-team': team })?.destination.route.name

  it.each([
    ['/v1', 'other.test', undefined, 'rest'],
    ['/v1', undefined, undefined, 'rest'],
    ['/openai/v1', 'other.test', undefined, 'openai'],
    ['/v1', 'Any.Internal:8443', undefined, 'any-internal'],
    ['/openai/v1', 'any.internal', undefined, 'internal-openai'],
    ['/openai/v1', 'claude.internal', undefined, 'claude'],
    ['/v1', 'claude.internal', 'blue', 'claude'],
    ['/v1', '[::1]:4141', undefined, 'address'],
    ['/v1', 'other.test', 'red', 'any-team'],
    ['/v1', 'other.test', 'blue-2', 'blue'],
    ['/v1', 'other.test', '', 'any-team'],
    ['/openai/v1', 'other.test', 'blue', 'openai'],
  ])('%s of %s with the team %s goes to %s', (path, host, team, name) => {
    expect(found(path, host, team)).toBe(name)
  })

  it('requests of one connection go by their own fields', async () => {
    const upstream = await rawUpstream((_, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    const proxy = await startProxy(upstream.url, { route: { when: { host: 'a.test' } } })
    const client = rawClient(proxy.port, 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\nGET / HTTP/1.1\r\nHost: b.test\r\n\r\n')
    expect(await client.until((text) => text.includes('no_route'))).toMatch(/200 OK[\s\S]*404 Not Found/)
    expect((await proxy.ended(2)).ends).toEqual([{ outcome: { kind: 'refused', reason: 'no_route' }, status: 404 }])
  })
})
