import { expect, it } from 'vitest'
import type { Route } from '../../src/config/config.ts'
import { createRouter } from '../../src/proxy/routes.ts'

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
  const target = find(path)
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
  expect(createRouter([route('only', '/v1', 'http://a.example')])('/v2/x')).toBeUndefined()
})

it('gives the root path to an upstream without one when the whole path is the prefix', () => {
  expect(createRouter([route('only', '/v1', 'http://a.example', true)])('/v1')?.path).toBe('/')
})
