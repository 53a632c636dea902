/** A corporate network: the upstream's name resolves nowhere here, and only a forward proxy reaches it. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { certificate } from '../proxy/certificate.ts'
import { cleanEnvironment, type Product, startProduct } from './product.ts'

const root = resolve(import.meta.dirname, '../..')
const answer = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  model: 'gpt-4o',
  choices: [],
  usage: { prompt_tokens: 3, completion_tokens: 2 },
}
const event = `data: ${JSON.stringify({ ...answer, object: 'chat.completion.chunk' })}\n\n`
const seen: http.IncomingMessage[] = []

const upstream = https.createServer(certificate, (request, response) => {
  seen.push(request)
  let body = ''
  request.on('data', (data) => void (body += data))
  request.on('end', () => {
    const isStream = body.includes('"stream":true')
    response.writeHead(200, { 'content-type': isStream ? 'text/event-stream' : 'application/json' })
    response.end(isStream ? `${event}data: [DONE]\n\n` : JSON.stringify(answer))
  })
})
const webSockets = new WebSocketServer({ server: upstream })
webSockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${data}`)))

/** Tunnels to the loopback, whatever the name. */
const tunnels: { readonly target: string; readonly authorization: string | undefined }[] = []
let credentials: string | undefined
const proxy = http.createServer((_, response) => void response.writeHead(500).end())
proxy.on('connect', (request, client: net.Socket) => {
  const authorization = request.headers['proxy-authorization']
  tunnels.push({ target: request.url ?? '', authorization })
  client.on('error', () => undefined)
  if (credentials !== undefined && authorization !== `Basic ${Buffer.from(credentials).toString('base64')}`) {
    client.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n')
    return
  }
  const target = net.connect(Number(request.url?.split(':').pop()), '127.0.0.1', () => client.write('HTTP/1.1 200 OK\r\n\r\n'))
  target.on('error', () => client.destroy()).pipe(client)
  client.on('close', () => target.destroy()).pipe(target)
})

const portOf = (server: net.Server) => (server.address() as AddressInfo).port
beforeAll(async () => {
  for (const server of [upstream, proxy]) await once(server.listen(0, '127.0.0.1'), 'listening')
})
afterAll(() => {
  upstream.closeAllConnections()
  for (const server of [upstream, proxy]) server.close()
})

/** Of no real server's: `weir.test` is in the certificate, and in no name server. */
const origin = () => `https://weir.test:${portOf(upstream)}`
const at = (user = '') => `http://${user}127.0.0.1:${portOf(proxy)}`

async function started(env: Record<string, string>, needs?: string): Promise<Product> {
  tunnels.length = 0
  seen.length = 0
  credentials = needs
  const trust = join(mkdtempSync(join(tmpdir(), 'tokenweir-trust-')), 'weir.test.pem')
  writeFileSync(trust, certificate.cert)
  const product = await startProduct({ upstream: origin(), env: { NODE_EXTRA_CA_CERTS: trust, ...env } })
  onTestFinished(async () => {
    await product.stop()
    rmSync(dirname(trust), { recursive: true })
  })
  return product
}

const chat = (product: Product, body: object = {}) =>
  fetch(`${product.url}/v1/chat/completions`, {
    ...{ method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer sk-test' } },
    body: JSON.stringify({ model: 'gpt-4o', messages: [], ...body }),
  })

describe('the running product behind a forward proxy', () => {
  it.each([
    ['without credentials', '', undefined],
    ['with credentials', 'me:p%40ss@', 'me:p@ss'],
  ])('reaches its upstream through it, %s, and records what it answers', async (_, user, needs) => {
    const product = await started({ HTTPS_PROXY: at(user) }, needs)
    expect(await (await chat(product)).json()).toEqual(answer)
    expect(await (await chat(product, { stream: true })).text()).toContain('data: [DONE]')
    expect(tunnels).toEqual([
      { target: `weir.test:${portOf(upstream)}`, authorization: needs && `Basic ${Buffer.from(needs).toString('base64')}` },
    ])
    expect(seen.map(({ headers }) => [headers.authorization, headers['proxy-authorization']])).toEqual([
      ['Bearer sk-test', undefined],
      ['Bearer sk-test', undefined],
    ])
    const rows = await product.closedRows(2)
    expect(rows.map((row) => [row['input_tokens'], row['output_tokens'], row['server_address']])).toEqual([
      [3, 2, 'weir.test'],
      [3, 2, 'weir.test'],
    ])
  })

  it('carries a WebSocket through it', async () => {
    const product = await started({ https_proxy: at() })
    const client = new WebSocket(`${product.url.replace('http:', 'ws:')}/v1/realtime`)
    await once(client, 'open')
    client.send('hello')
    const [data] = await once(client, 'message')
    expect(String(data)).toBe('echo hello')
    client.close()
    await once(client, 'close')
    expect(tunnels.length).toBe(1)
    expect((await product.closedRows(1)).map((row) => row['status'])).toEqual([101])
  })

  it('answers 502 with the names of proxy and host where the proxy refuses, and tells nobody the credentials', async () => {
    const product = await started({ HTTPS_PROXY: at('me:hunter2@') }, 'me:another')
    const refused = await chat(product)
    const text = await refused.text()
    expect([refused.status, refused.headers.get('x-tokenweir-error')]).toEqual([502, 'upstream_proxy_refused'])
    expect(text).toContain(`The proxy ${at()} opened no way to weir.test:${portOf(upstream)}: it answered 407.`)
    const [row] = await product.closedRows(1)
    const metrics = await (await fetch(`${product.adminUrl}/metrics`)).text()
    const secrets = /hunter2|bWU6aHVudGVyMg/
    for (const shown of [text, product.stdout(), product.stderr(), JSON.stringify(row), metrics]) expect(shown).not.toMatch(secrets)
    expect(row?.['end_reason']).toBe('unreachable')
  })

  it('goes past it for a host in NO_PROXY', async () => {
    const product = await started({ HTTPS_PROXY: at(), NO_PROXY: 'other.test,weir.test' })
    const direct = await chat(product)
    expect([direct.status, direct.headers.get('x-tokenweir-error'), tunnels]).toEqual([502, 'upstream_dns', []])
  })
})

describe('tokenweir check', () => {
  const check = (env: Record<string, string>) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(root, 'src/tokenweir.ts'), '--upstream', 'https://llm.corp', 'check'],
      {
        ...{ env: { ...cleanEnvironment(), ...env }, encoding: 'utf8', timeout: 60_000 },
      },
    )
    return { status, stdout, stderr }
  }

  it.each<[string, Record<string, string>, string | undefined]>([
    ['nothing where no proxy is set', {}, undefined],
    ['the proxy', { HTTPS_PROXY: 'http://proxy:3128' }, '    # reached through the proxy http://proxy:3128'],
    [
      'that there are credentials, and not which',
      { HTTPS_PROXY: 'http://me:hunter2@proxy:3128' },
      '    # reached through the proxy http://proxy:3128, with credentials (not shown)',
    ],
    ['that a route goes directly', { HTTPS_PROXY: 'http://me:hunter2@proxy:3128', NO_PROXY: '.corp' }, '    # reached directly'],
  ])('shows %s', (_, env, expected) => {
    const { status, stdout } = check(env)
    expect([status, stdout.split('\n').find((line) => line.includes('# reached'))]).toEqual([0, expected])
    expect(stdout).not.toContain('hunter2')
  })

  it('refuses what is no proxy, with exit code 2 and without its credentials', () => {
    expect(check({ HTTPS_PROXY: 'socks5://me:hunter2@proxy:1080' })).toEqual({
      ...{ status: 2, stdout: '' },
      stderr:
        'tokenweir: HTTPS_PROXY: "socks5://***@proxy:1080" is not a proxy. Write http://host:port, or name the upstream\'s host in NO_PROXY.\n',
    })
  })
})
