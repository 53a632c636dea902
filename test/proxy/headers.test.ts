import { describe, expect, it } from 'vitest'
import { parseTraceparent, requestHeaders, responseHeaders } from '../../src/proxy/headers.ts'

const rewrite = {
  host: 'up.example:8080',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  tracestate: undefined,
  clientAddress: '127.0.0.1',
  clientHost: 'localhost:4141',
  clientScheme: 'http',
  edited: false,
} as const

describe('request headers', () => {
  it('keep order, case and repeats, and lose what belongs to the connection', () => {
    const sent = [
      ...['Host', 'localhost:4141', 'X-B', '1', 'x-a', '2', 'X-B', '3', 'Connection', 'keep-alive, X-Private', 'X-Private', 'secret'],
      ...['Keep-Alive', 'timeout=5', 'TE', 'trailers', 'Upgrade', 'h2c', 'Proxy-Authorization', 'Basic x', 'Expect', '100-continue'],
      ...['Transfer-Encoding', 'chunked', 'Authorization', 'Bearer k'],
    ]
    expect(requestHeaders(sent, rewrite)).toEqual([
      ...['Host', 'up.example:8080', 'X-B', '1', 'x-a', '2', 'X-B', '3', 'Authorization', 'Bearer k', 'traceparent', rewrite.traceparent],
      ...['x-forwarded-for', '127.0.0.1', 'x-forwarded-proto', 'http', 'x-forwarded-host', 'localhost:4141'],
      ...['forwarded', 'for=127.0.0.1;host="localhost:4141";proto=http'],
    ])
  })

  it('replace the trace context in place, once', () => {
    const sent = ['Traceparent', '00-a-b-00', 'traceparent', 'twice', 'tracestate', 'x=1', 'a', 'b']
    expect(requestHeaders(sent, { ...rewrite, tracestate: 'x=1' }).slice(0, 8)).toEqual([
      ...['host', 'up.example:8080', 'Traceparent', rewrite.traceparent, 'tracestate', 'x=1', 'a', 'b'],
    ])
  })

  it('drop a tracestate that came without a valid traceparent', () => {
    expect(requestHeaders(['tracestate', 'x=1'], rewrite)).not.toContain('tracestate')
  })

  it('append to the forwarding headers of earlier hops', () => {
    const sent = [
      'X-Forwarded-For',
      '10.0.0.1',
      'Forwarded',
      'for=10.0.0.1',
      'X-Forwarded-Proto',
      'https',
      'X-Forwarded-Host',
      'api.example',
    ]
    expect(requestHeaders(sent, { ...rewrite, clientAddress: '::1', clientHost: undefined }).slice(2, 10)).toEqual([
      ...['X-Forwarded-For', '10.0.0.1, ::1', 'Forwarded', 'for=10.0.0.1, for="[::1]";proto=http'],
      ...['X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'api.example'],
    ])
  })
})

describe('response headers', () => {
  it('keep order, case, repeats and announced trailers, and lose what belongs to the connection', () => {
    const sent = [
      'Set-Cookie',
      'a=1',
      'X-Up',
      'v',
      'set-cookie',
      'b=2',
      'Connection',
      'close, x-hop',
      'X-Hop',
      '1',
      'Trailer',
      'X-Sum',
      'Keep-Alive',
      'timeout=3',
    ]
    expect(responseHeaders(sent)).toEqual(['Set-Cookie', 'a=1', 'X-Up', 'v', 'set-cookie', 'b=2', 'Trailer', 'X-Sum'])
  })
})

describe('traceparent', () => {
  const id = '0af7651916cd43dd8448eb211c80319c'
  it.each([
    [`00-${id}-b7ad6b7169203331-00`, { traceId: id, parentSpanId: 'b7ad6b7169203331', flags: 0 }],
    [`cc-${id}-b7ad6b7169203331-01-future`, { traceId: id, parentSpanId: 'b7ad6b7169203331', flags: 1 }],
    [`00-${id}-b7ad6b7169203331-01-extra`, undefined],
    [`ff-${id}-b7ad6b7169203331-01`, undefined],
    [`00-${'0'.repeat(32)}-b7ad6b7169203331-01`, undefined],
    [`00-${id}-${'0'.repeat(16)}-01`, undefined],
    [`00-${id.toUpperCase()}-b7ad6b7169203331-01`, undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%s', (text, parsed) => {
    expect(parseTraceparent(text)).toEqual(parsed)
  })
})
