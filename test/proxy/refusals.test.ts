/** Requests that are answered here, with a record each, and never reach the upstream. */
import net from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Cell } from '../../src/lib/shared-counters.ts'
import { rawClient, rawUpstream, split, startProxy, until } from './harness.ts'

const chunked = '5\r\nhello\r\n0\r\n\r\n'
const post = (fields: string, body = chunked) => `POST /t HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`
const get = (fields: string) => `GET /t HTTP/1.1\r\n${fields}\r\n`

async function answered(sent: string) {
  const upstream = await rawUpstream(() => undefined)
  const proxy = await startProxy(upstream.url)
  const received = await rawClient(proxy.port, sent).closed()
  return { proxy, upstream, status: Number(received.split(' ')[1]), code: /x-tokenweir-error: (\w+)/.exec(received)?.[1], received }
}

describe('a request with', () => {
  it.each([
    ['another transfer coding before chunked', post('Transfer-Encoding: gzip, chunked\r\n'), 501, 'bad_transfer_coding'],
    ['a coding that is none', post('Transfer-Encoding: gzip\r\n'), 501, 'bad_transfer_coding'],
    ['a coding in a field of its own', post('Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n'), 501, 'bad_transfer_coding'],
    ['chunks in HTTP/1.0', post('Transfer-Encoding: chunked\r\n').replace('1.1', '1.0'), 400, 'malformed_request'],
    ['two Hosts', get('Host: a\r\nhOST: a\r\n'), 400, 'bad_host'],
    ['no Host', get(''), 400, 'bad_host'],
    ['a Host with a space', get('Host: a b\r\n'), 400, 'bad_host'],
    ['a Host with a path', get('Host: a/b\r\n'), 400, 'bad_host'],
    ['a list of Hosts', get('Host: a, b\r\n'), 400, 'bad_host'],
    ['a Host with a user', get('Host: u@a\r\n'), 400, 'bad_host'],
    ['HTTP/2.0', 'GET /t HTTP/2.0\r\nHost: a\r\n\r\n', 505, 'bad_version'],
    ['HTTP/0.9', 'GET /t HTTP/0.9\r\nHost: a\r\n\r\n', 505, 'bad_version'],
    ['ICE/1.0', 'SOURCE /t ICE/1.0\r\nHost: a\r\n\r\n', 505, 'bad_version'],
    ['RTSP/1.0', 'OPTIONS /t RTSP/1.0\r\nHost: a\r\n\r\n', 505, 'bad_version'],
    ['another expectation', post('Expect: banana\r\nContent-Length: 2\r\n', '{}'), 417, 'bad_expectation'],
    ['another expectation beside 100-continue', post('Expect: y 100-continue\r\nContent-Length: 2\r\n', '{}'), 417, 'bad_expectation'],
    ['a malformed chunk', post('Transfer-Encoding: chunked\r\n', '5\r\nhello\r\nZZ\r\n'), 400, 'malformed_request'],
  ])('%s is refused with a record', async (_, sent, status, code) => {
    const result = await answered(sent)
    expect([result.status, result.code, result.received.match(/HTTP\/1\.1 \d/g)?.length]).toEqual([status, code, 1])
    expect((await result.proxy.ended()).ends).toEqual([{ outcome: { kind: 'refused', reason: code }, status }])
    expect(result.proxy.cells[Cell.malformed]).toBe(0)
    await until(() => result.upstream.connections.every(({ destroyed }) => destroyed))
  })

  it.each([
    ['chunked twice', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'), 501, 'bad_transfer_coding'],
    ['a version that there is not', 'GET /t HTTP/9.9\r\nHost: a\r\n\r\n', 505, 'bad_version'],
    ['a coding beside a length', post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'), 400, 'malformed_request'],
  ])('%s does not become one, and is counted', async (_, sent, status, code) => {
    const result = await answered(sent)
    expect([result.status, result.code, result.proxy.seen.length, result.proxy.cells[Cell.malformed]]).toEqual([status, code, 0, 1])
  })

  it.each(['a', 'a:8080', '127.0.0.1:1', '[::1]:8080', 'x_y.example', ''])('the Host %j goes on', async (host) => {
    const upstream = await rawUpstream((_, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, get(`Host: ${host}\r\n`))
    expect(await client.until((text) => text.endsWith('ok'))).toContain('HTTP/1.1 200 OK')
  })

  it('a malformed chunk behind another request is refused in its turn', async () => {
    const upstream = await rawUpstream(
      (_, socket) => void setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'), 50),
    )
    const proxy = await startProxy(upstream.url)
    const received = await rawClient(proxy.port, get('Host: a\r\n') + post('Transfer-Encoding: chunked\r\n', 'ZZ\r\n')).closed()
    expect([...received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['200', '400'])
    expect((await proxy.ended(2)).ends).toEqual([{ outcome: { kind: 'refused', reason: 'malformed_request' }, status: 400 }])
    expect(upstream.connections.length).toBe(1)
  })

  it('a fragment is recorded without it', async () => {
    const upstream = await rawUpstream((_, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    const proxy = await startProxy(upstream.url)
    await rawClient(proxy.port, 'GET /t#secret?a=b HTTP/1.1\r\nHost: a\r\n\r\n').until((text) => text.endsWith('ok'))
    expect(proxy.seen[0]?.opening.path).toBe('/t')
  })
})

describe('an answer with', () => {
  const trailer = 'Trailer: X-Sum\r\n'
  it.each([
    ['a length', 'GET', '1.1', `HTTP/1.1 200 OK\r\n${trailer}Content-Length: 2\r\n\r\nok`, 200, 'ok'],
    ['status 204', 'GET', '1.1', `HTTP/1.1 204 No Content\r\n${trailer}\r\n`, 204, ''],
    ['status 304', 'GET', '1.1', `HTTP/1.1 304 Not Modified\r\n${trailer}\r\n`, 304, ''],
    ['no body, to HEAD', 'HEAD', '1.1', `HTTP/1.1 200 OK\r\n${trailer}Transfer-Encoding: chunked\r\n\r\n`, 200, ''],
    [
      'chunks, to HTTP/1.0',
      'GET',
      '1.0',
      `HTTP/1.1 200 OK\r\n${trailer}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n`,
      200,
      'ok',
    ],
  ])('a Trailer field and %s crosses without that field', async (_, method, version, sent, status, body) => {
    const upstream = await rawUpstream((_text, socket) => void socket.write(sent))
    const proxy = await startProxy(upstream.url)
    const client = rawClient(proxy.port, `${method} / HTTP/${version}\r\nHost: a\r\nConnection: close\r\n\r\n`)
    const received = split(await client.closed())
    expect([received.head.split(' ')[1], received.body]).toEqual([String(status), body])
    expect(received.head).not.toMatch(/trailer/i)
    expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'answered' }, status }])
  })

  it('status 204 or 103 and a length loses the length, and 103 what is of its connection', async () => {
    const interim = `HTTP/1.1 103 Early Hints\r\n${trailer}Content-Length: 3\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\nLink: <a>\r\n\r\n`
    const upstream = await rawUpstream(
      (_, socket) => void socket.write(`${interim}HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX-A: b\r\n\r\n`),
    )
    const proxy = await startProxy(upstream.url)
    const received = await rawClient(proxy.port, get('Host: a\r\nConnection: close\r\n')).closed()
    expect(received).toBe('HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 204 No Content\r\nX-A: b\r\nConnection: close\r\n\r\n')
  })
})

describe('a request that goes round', () => {
  it('is refused after some rounds, whatever leads it back', async () => {
    let own = 0
    // As a published port of a container does: the address is not the sidecar's own, and no setting shows it.
    const relay = net.createServer((from) => {
      const to = net.connect(own, '127.0.0.1')
      from.pipe(to).pipe(from)
      for (const socket of [from, to]) socket.on('error', () => undefined)
    })
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void relay.close())
    const proxy = await startProxy(`http://127.0.0.1:${(relay.address() as net.AddressInfo).port}`)
    own = proxy.port
    const received = await rawClient(proxy.port, post('Content-Length: 2\r\nConnection: close\r\n', '{}')).closed()
    expect([received.split('\r\n')[0], /x-tokenweir-error: (\w+)/.exec(received)?.[1]]).toEqual(['HTTP/1.1 508 Loop Detected', 'loop'])
    expect(received).toContain('The upstream leads back to this sidecar')
    expect(proxy.seen.length).toBe(18)
  })

  it.each([
    ['many hops that differ', Array.from({ length: 40 }, (_, i) => `for=10.0.0.${i}`).join(', '), 200],
    ['as many equal hops as may be', Array.from({ length: 16 }, () => 'for=10.0.0.1;proto=http').join(', '), 200],
    ['more equal hops', Array.from({ length: 17 }, () => 'for=10.0.0.1;proto=http').join(', '), 508],
    ['hops of a circle of three', Array.from({ length: 18 }, (_, i) => `for=10.0.0.${i % 3};proto=http`).join(', '), 508],
  ])('is told from one with %s', async (_, forwarded, status) => {
    const upstream = await rawUpstream((_, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    const proxy = await startProxy(upstream.url)
    const received = await rawClient(proxy.port, get(`Host: a\r\nForwarded: ${forwarded}\r\nConnection: close\r\n`)).closed()
    expect(Number(received.split(' ')[1])).toBe(status)
  })
})
