/** Mistakes that everybody makes, each acted out on a running sidecar: what `verify` prints, and what the sidecar itself says on stderr, once. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type SampleGateway, startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { type Product, type ProductOptions, startProduct } from '../e2e/product.ts'
import { certificate } from '../proxy/certificate.ts'
import { verify } from './verified.ts'

async function listening<Server extends net.Server>(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    if (server instanceof http.Server || server instanceof https.Server) server.closeAllConnections()
  })
  return (server.address() as AddressInfo).port
}

async function gateway(): Promise<SampleGateway> {
  const started = await startSampleGateway()
  onTestFinished(() => started.close())
  return started
}

async function behind(upstream: string, options: Omit<ProductOptions, 'upstream'> = {}): Promise<Product> {
  const product = await startProduct({ upstream, ...options })
  onTestFinished(async () => void (await product.stop('SIGKILL')))
  return product
}

const page = '<!doctype html><html><head><title>Welcome to the &#x1b;[31m console</title></head><body>Sign in</body></html>'
const html: http.RequestListener = (_, response) => response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page)

interface Case {
  readonly name: string
  /** What stands where the upstream should be; gives the address as somebody wrote it. */
  readonly upstream: () => Promise<string>
  readonly path?: string
  readonly env?: Record<string, string>
  /** In what `verify` prints. */
  readonly printed: readonly string[]
  /** On stderr of the sidecar, once. Undefined where one request does not show it. */
  readonly told?: string
}

/** `ORIGIN` stands for the scheme, host and port of the upstream; `HOST` for host and port. */
const cases: readonly Case[] = [
  {
    name: '/v1 on both sides',
    upstream: async () => `${(await gateway()).url}/v1`,
    printed: [
      "404: The model does not exist or you do not have access to it. The sidecar's upstream answers /chat/completions, and not /v1/chat/completions: /v1 is there twice.",
      "Take /v1 off the upstream's address: ORIGIN. Clients bring it in their paths.",
    ],
    told: 'Route default: The upstream got /v1/v1/chat/completions and answered 404: /v1 is in it twice. Take /v1 off the upstream',
  },
  {
    name: '/v1 on neither side',
    upstream: async () => (await gateway()).url,
    path: '/chat/completions',
    printed: [
      "The sidecar's upstream answers /v1/chat/completions, and not /chat/completions: /v1 is missing.",
      "End the clients' base URL with /v1.",
    ],
    told: 'Route default: The upstream got /chat/completions and answered 404: there is no /v1 in it. End the clients',
  },
  {
    name: 'the port of a web server',
    upstream: async () => `http://127.0.0.1:${await listening(http.createServer(html))}`,
    printed: [
      '200: Welcome to the &#x1b;[31m console. The upstream answered /v1/chat/completions with an HTML page (200)',
      'Are port and base path of --upstream right (ORIGIN/)?',
    ],
    told: 'Route default: The upstream answered /v1/chat/completions with an HTML page (200): that is a web server, not a model API.',
  },
  {
    name: 'http to an https port',
    upstream: async () => `http://127.0.0.1:${await listening(https.createServer(certificate, html))}`,
    printed: ['The upstream HOST speaks TLS, and was spoken to by plain HTTP.', 'Begin its address with https://: https://HOST/'],
  },
  {
    name: 'https to an http port',
    upstream: async () => (await gateway()).url.replace('http:', 'https:'),
    printed: ['The upstream HOST speaks plain HTTP, and was spoken to by TLS.', 'Begin its address with http://: http://HOST/'],
    told: 'Route default: The upstream HOST speaks plain HTTP, and was spoken to by TLS. Begin its address with http://',
  },
  {
    name: 'a certificate that nobody vouches for',
    upstream: async () => `https://127.0.0.1:${await listening(https.createServer(certificate, html))}`,
    printed: ['is of an authority that is not known here (DEPTH_ZERO_SELF_SIGNED_CERT)', 'NODE_EXTRA_CA_CERTS=/path/ca.pem'],
    told: 'Route default: The certificate of the upstream HOST is of an authority that is not known here',
  },
  {
    name: 'the host’s 127.0.0.1 from a container',
    upstream: async () => 'http://127.0.0.1:9',
    env: { container: 'podman' },
    printed: [
      'Nothing listens at 127.0.0.1:9: the sidecar runs in a container, where 127.0.0.1 is the container itself.',
      'write http://host.docker.internal:9 (on Linux start the container with --add-host=host.docker.internal:host-gateway',
    ],
    told: 'Route default: Nothing listens at 127.0.0.1:9: the sidecar runs in a container',
  },
  {
    name: 'a proxy in the way that wants a password',
    upstream: async () => 'http://gateway.invalid',
    env: { http_proxy: 'PROXY' },
    printed: ['The forward proxy of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY refuses the way to the upstream gateway.invalid.', 'NO_PROXY'],
    told: 'Route default: The forward proxy of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY refuses the way',
  },
]

const chat = (product: Product, path = '/v1/chat/completions') =>
  fetch(`${product.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"model":"gpt-4o","messages":[]}',
  })

describe('a mistake that everybody makes', () => {
  it.each(cases)('$name', async ({ upstream: place, path, env = {}, printed, told }) => {
    const upstream = await place()
    const refusing = http.createServer((_, response) => response.writeHead(407, { 'proxy-authenticate': 'Basic' }).end())
    const proxy = `http://127.0.0.1:${await listening(refusing)}`
    const variables = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, value.replace('PROXY', proxy)]))
    const product = await behind(upstream, { env: variables })
    const filled = (text: string) => text.replaceAll('ORIGIN', new URL(upstream).origin).replaceAll('HOST', new URL(upstream).host)
    const args = ['--upstream', upstream, '--wait', '10', '--key-env', 'KEY', ...(path === undefined ? [] : ['--path', path])]
    const { code, sentences } = await verify(product, args, { ...variables, KEY: 'a-secret-of-the-caller' })
    for (const sentence of printed) expect(sentences).toContain(filled(sentence))
    expect([code, sentences.includes('a-secret')]).toEqual([1, false])
    if (told === undefined) return
    await expect.poll(() => product.stderr(), { timeout: 30_000 }).toContain(filled(told))
    const before = product.ledgerRows().length
    await (await chat(product, path)).text()
    await product.closedRows(before + 1)
    await product.stop()
    expect(product.stderr().split(filled(told)).length - 1).toBe(1)
  })

  it('an upstream that leads back to the sidecar', async () => {
    let own = 0
    const relay = net.createServer((from) => {
      const to = net.connect(own, '127.0.0.1')
      from.pipe(to).pipe(from)
      for (const socket of [from, to]) socket.on('error', () => undefined)
    })
    const upstream = `http://127.0.0.1:${await listening(relay)}`
    const product = await behind(upstream)
    own = Number(new URL(product.url).port)
    const { code, sentences } = await verify(product, ['--wait', '10'])
    expect([code, sentences]).toEqual([1, expect.stringContaining('508: tokenweir: The upstream leads back to this sidecar')])
    expect(sentences).toContain('Set --upstream to the address of the gateway behind the sidecar.')
    await expect.poll(() => product.stderr(), { timeout: 30_000 }).toContain('The upstream is this sidecar itself, or leads back to it')
  })

  it('a path that no route has', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'tokenweir-routes-')), 'tokenweir.yaml')
    onTestFinished(() => rmSync(dirname(file), { recursive: true }))
    writeFileSync(file, `routes: [{prefix: /openai, upstream: "${(await gateway()).url}"}]\n`)
    const product = await startProduct({ env: { TOKENWEIR_CONFIG: file } })
    onTestFinished(async () => void (await product.stop('SIGKILL')))
    const { code, sentences } = await verify(product, ['--wait', '10'])
    expect([code, sentences]).toEqual([1, expect.stringContaining('The sidecar itself says so (no_route). docs/troubleshooting.md says')])
  })

  it('clients that still talk to the gateway', async () => {
    const { url } = await gateway()
    const product = await behind(url)
    const first = await verify(product, ['--wait', '10'])
    expect([first.code, first.checks['clients']]).toEqual([0, 'warned'])
    expect(first.sentences).toContain(`they talk to the gateway itself: set their base URL to ${product.url}/v1`)
  })

  it('a variable that sends clients to a proxy', async () => {
    const product = await behind((await gateway()).url)
    const env = { HTTP_PROXY: 'http://user:a-secret@proxy.invalid:3128' }
    const seen = await verify(product, ['--wait', '10'], env)
    expect([seen.code, seen.checks['client proxy'], seen.sentences.includes('a-secret')]).toEqual([0, 'warned', false])
    expect(seen.sentences).toContain('HTTP_PROXY is set here')
    expect((await verify(product, ['--wait', '10'], { ...env, NO_PROXY: '127.0.0.1' })).checks['client proxy']).toBeUndefined()
  })

  it('an endpoint without a scheme', async () => {
    const product = await behind((await gateway()).url)
    const { checks, sentences } = await verify(product, ['--wait', '10'], { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' })
    expect(checks['telemetry']).toBe('warned')
    expect(sentences).toContain('OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318" has no scheme; http://collector:4318 is used.')
  })

  it.each([
    [-600_000, '10 min behind'],
    [90_000, /(89|90) s ahead of/],
  ])('a clock that differs: %s ms', async (ms, said) => {
    const server = http.createServer((_, response) => {
      response.writeHead(401, { 'content-type': 'application/json', date: new Date(Date.now() + ms).toUTCString() })
      response.end('{"error":{"message":"Signature expired"}}')
    })
    const product = await behind(`http://127.0.0.1:${await listening(server)}`)
    const { checks, sentences } = await verify(product, ['--wait', '10'])
    expect(checks['clock']).toBe('warned')
    expect(sentences).toMatch(said)
  })

  it('says the words of the upstream without control characters, without the key, and not all of them', async () => {
    const server = http.createServer((request, response) => {
      response.writeHead(400, { 'content-type': 'text/plain' })
      response.end(`\u001b[31mno ${request.headers['authorization']} nor sk-abcdefgh1234\n${'long '.repeat(1000)}`)
    })
    const product = await behind(`http://127.0.0.1:${await listening(server)}`)
    const { sentences } = await verify(product, ['--wait', '10', '--key-env', 'KEY'], { KEY: 'weir secret' })
    expect(sentences).toMatch(/400: \\u001b\[31mno \*\*\* (\*\*\* )?nor \*\*\* long long /)
    expect(sentences).not.toMatch(/weir secret|sk-abc|(long ){100}/)
  })
})
