/** What the sidecar says of one failed request, and of which it says nothing. The cases that everybody makes are acted out in test/verify. */
import { describe, expect, it } from 'vitest'
import { type Evidence, mistakeOf, pathAt } from '../../src/conclude/mistakes.ts'
import type { Exchange } from '../../src/lib/exchange.ts'
import { createMistakesSink } from '../../src/recorder/mistakes.ts'
import { exchangeOf } from '../sinks/exchange-of.ts'

const upstream = new URL('http://gateway:8000')
const asked = { upstream, method: 'POST', path: '/v1/chat/completions' }
const https = new URL('https://gateway')
const local = new URL('http://localhost:8000')

describe('a mistake', () => {
  it.each<readonly [string, Partial<Evidence>, string | undefined]>([
    ['a good answer', { status: 200, contentType: 'application/json' }, undefined],
    ['a model that is not there', { status: 404, contentType: 'application/json' }, undefined],
    ['a page of a proxy whose upstream is away', { status: 502, contentType: 'text/html' }, undefined],
    ['a page that a browser asked for', { status: 200, contentType: 'text/html', method: 'GET', path: '/ui' }, undefined],
    ['a page for a request to a model', { status: 404, contentType: 'text/html; charset=utf-8' }, 'html'],
    ['a version twice', { status: 404, path: '/openai/v1beta/v1beta/models/x' }, 'version twice'],
    ['a version twice in its words', { status: 404, said: 'Cannot POST /v1/v1/chat/completions' }, 'version twice'],
    ['versions that only look alike', { status: 404, path: '/v1/v10/x' }, undefined],
    ['no version in an API path', { status: 404, path: '/openai/embeddings' }, 'version missing'],
    ['no version in a path of another kind', { status: 404, path: '/health' }, undefined],
    ['the words of nginx', { status: 400, said: '400 The plain HTTP request was sent to HTTPS port' }, 'http to https'],
    ['the words of Go', { status: 400, said: 'Client sent an HTTP request to an HTTPS server.' }, 'http to https'],
    ['a proxy that wants a password', { status: 407 }, 'proxy'],
    ['a round', { refused: 'loop' }, 'loop'],
    ['another refusal', { refused: 'bad_host' }, undefined],
    [
      'TLS spoken to plain HTTP',
      { upstream: https, unreachable: { reason: 'tls', code: 'ERR_SSL_WRONG_VERSION_NUMBER' } },
      'https to http',
    ],
    [
      'an unknown authority',
      { upstream: https, unreachable: { reason: 'tls', code: 'SELF_SIGNED_CERT_IN_CHAIN' } },
      'untrusted certificate',
    ],
    ['a certificate of another time', { upstream: https, unreachable: { reason: 'tls', code: 'CERT_HAS_EXPIRED' } }, 'certificate time'],
    ['bytes that are no HTTP', { unreachable: { reason: 'protocol', code: 'BAD_RESPONSE' } }, 'no http'],
    ['a close', { unreachable: { reason: 'closed', code: 'CLOSED' } }, undefined],
    ['a close on a port of TLS', { upstream: new URL('http://h:8443'), unreachable: { reason: 'closed', code: 'CLOSED' } }, 'no http'],
    ['a proxy that is away', { unreachable: { reason: 'proxy_unreachable', code: undefined } }, 'proxy'],
    ['nobody at a loopback address', { upstream: local, unreachable: { reason: 'connect', code: 'ECONNREFUSED' } }, undefined],
    [
      'nobody at a loopback address of a container',
      { upstream: local, container: 'container', unreachable: { reason: 'connect', code: 'ECONNREFUSED' } },
      'container',
    ],
    ['nobody elsewhere', { container: 'container', unreachable: { reason: 'connect', code: 'ECONNREFUSED' } }, undefined],
  ])('is told from what is none: %s', (_, evidence, kind) => {
    expect(mistakeOf({ ...asked, ...evidence })?.kind).toBe(kind)
  })

  it('of a pod names no Docker', () => {
    const { mend } = mistakeOf({ ...asked, upstream: local, container: 'pod', unreachable: { reason: 'connect', code: '' } }) ?? {}
    expect(mend).toContain('Is the gateway a container of the same pod')
    expect(mend).not.toContain('docker')
  })

  it.each([
    ['http://g/v1', '/', false, '/v1/chat', '/v1/v1/chat'],
    ['http://g/', '/', false, '/v1/chat', '/v1/chat'],
    ['http://g/base/', '/openai', true, '/openai/v1/chat', '/base/v1/chat'],
    ['http://g/base', '/openai', false, '/openai/v1/chat', '/base/openai/v1/chat'],
    ['http://g', '/openai/', true, '/openai/', '/'],
  ])('knows the path that the upstream gets: %s behind %s', (address, prefix, stripPrefix, path, expected) => {
    expect(pathAt({ upstream: new URL(address), prefix, stripPrefix }, path)).toBe(expected)
  })
})

it('the sidecar tells each mistake once for each route', () => {
  const lines: string[] = []
  const route = { prefix: '/', stripPrefix: false, upstream: new URL('http://g/v1') }
  const routes = ['a', 'b'].map((name) => ({ ...route, name })) as unknown as Parameters<typeof createMistakesSink>[0]['routes']
  const sink = createMistakesSink({ routes, container: undefined, report: (line) => lines.push(line) })
  const of = (name: string, status: number): Exchange => {
    const exchange = exchangeOf()
    return { ...exchange, opening: { ...exchange.opening, route: name }, ending: { ...exchange.ending, status } }
  }
  sink.record({ opened: [], ended: [of('a', 200), of('a', 404), of('a', 404), of('b', 404)] })
  sink.record({ opened: [], ended: [of('b', 404)] })
  const told = () => lines.map((line) => /^Route \w/.exec(line)?.[0])
  expect(told()).toEqual(['Route a', 'Route b'])
  // A reload has moved the one, and mended the other.
  sink.use(routes.map((one) => ({ ...one, upstream: new URL(one.name === 'a' ? 'http://h/v1' : 'http://g') })))
  sink.record({ opened: [], ended: [of('a', 404), of('b', 404)] })
  expect(told()).toEqual(['Route a', 'Route b', 'Route a'])
})
