/** Addresses, certificates and listeners, as the configuration has them. */
import { expect, it } from 'vitest'
import { socketPathOf } from '../../src/config/address.ts'
import { writtenSources } from '../../src/config/caller.ts'
import { describeError, loadConfig } from '../../src/config/config.ts'
import { describeConfig } from '../../src/config/print.ts'
import { certificate } from '../proxy/certificate.ts'
import { encryptedKey, renewed } from '../proxy/certificates.ts'

const files: Readonly<Record<string, string>> = {
  'a.crt': certificate.cert,
  'a.key': certificate.key,
  'b.key': renewed.key,
  'locked.key': encryptedKey,
  'words.txt': 'hunter2',
}

async function load(text: string, flags: Record<string, string> = {}, upstream = 'upstream: http://gateway.test\n') {
  const readFile = (path: string) => {
    const found = path === 't.yaml' ? `${upstream}${text}` : files[path]
    if (found === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
    return found
  }
  return loadConfig({ flags: { config: 't.yaml', ...flags }, env: {}, readFile })
}

async function config(text: string, flags: Record<string, string> = {}, upstream?: string) {
  const loaded = await load(text, flags, upstream)
  if ('errors' in loaded) throw new Error(loaded.errors.map(describeError).join('\n'))
  return loaded.config
}

async function errors(text: string) {
  const loaded = await load(text)
  return 'errors' in loaded ? loaded.errors.map(describeError) : []
}

const usual = { clientCertificates: 'required', minVersion: '1.2', http2: true }

it('a port with TLS, others beside it, and a Unix socket', async () => {
  const { listen, tls, listeners } = await config(`
listen: 0.0.0.0:8443
tls: { cert: a.crt, key: a.key, clientCa: a.crt, clientCertificates: optional, minVersion: 1.3, http2: false }
listeners:
  - address: 127.0.0.1:4141
  - address: unix:/run/tokenweir.sock
  - { address: ':9443', tls: { cert: a.crt, key: a.key } }
`)
  expect({ listen, tls, listeners }).toEqual({
    listen: { host: '0.0.0.0', port: 8443 },
    tls: { cert: 'a.crt', key: 'a.key', clientCa: 'a.crt', clientCertificates: 'optional', minVersion: '1.3', http2: false },
    listeners: [
      { address: { host: '127.0.0.1', port: 4141 } },
      { address: { host: 'localhost', port: 0, unix: { path: '/run/tokenweir.sock', mode: 0o660 } } },
      { address: { host: '0.0.0.0', port: 9443 }, tls: { cert: 'a.crt', key: 'a.key', ...usual } },
    ],
  })
})

it('a Unix socket has the mode that is asked for, also by flag', async () => {
  expect((await config('', { listen: 'unix:/tmp/weir?mode=0600' })).listen.unix).toEqual({ path: '/tmp/weir', mode: 0o600 })
})

it('what is in effect can be read back', async () => {
  const written = await config(
    'listen: unix:/run/a.sock?mode=0600\nlisteners: [{ address: ":1", tls: { cert: a.crt, key: a.key } }]\nadminTls: { cert: a.crt, key: a.key }',
  )
  const shown = describeConfig(written, new Map(), { dim: (text) => text })
  expect(await config(shown, {}, '')).toEqual(written)
})

it('an upstream behind a Unix socket keeps its path and base path, and is read back', async () => {
  const written = await config(
    'routes: [{ prefix: /a, upstream: unix:/run/gateway.sock }, { prefix: /b, upstream: "unix:/run/g w.sock:/v1" }]',
    {},
    '',
  )
  expect(written.routes.map(({ upstream }) => [socketPathOf(upstream), upstream.pathname])).toEqual([
    ['/run/gateway.sock', ''],
    ['/run/g w.sock', '/v1'],
  ])
  const shown = describeConfig(written, new Map(), { dim: (text) => text })
  expect((await config(shown, {}, '')).routes.map(({ upstream }) => upstream.href)).toEqual(
    written.routes.map(({ upstream }) => upstream.href),
  )
  const env = { HTTP_PROXY: 'http://proxy.test' }
  const loaded = await loadConfig({ flags: { upstream: 'unix:/run/gateway.sock' }, env, readFile: () => '' })
  expect('config' in loaded && loaded.config.routes[0]?.proxy).toBe(undefined)
})

it('a client certificate names its caller by what is asked for, and is read back', async () => {
  const tls = 'tls: { cert: a.crt, key: a.key, clientCa: a.crt }\n'
  const { caller } = await config(`${tls}caller: client-cert:uri, client-cert, api-key`)
  expect(caller).toEqual([{ kind: 'client-cert', field: 'uri' }, { kind: 'client-cert', field: 'cn' }, { kind: 'api-key' }])
  expect((await config(`${tls}caller: ${writtenSources(caller)}`)).caller).toEqual(caller)
  expect((await config(`${tls}caller: { from: [client-cert:dns] }`)).caller).toEqual([{ kind: 'client-cert', field: 'dns' }])
})

it.each([
  [
    'adminTls: { cert: a.crt, key: b.key }',
    't.yaml:2:31: adminTls.key: The private key in "b.key" does not belong to the certificate in "a.crt".',
  ],
  ['adminTls: { cert: a.crt }', 't.yaml:2:11: adminTls.key: This key is needed here and missing.'],
  ['tls: { cert: gone.crt, key: a.key }', 't.yaml:2:14: tls.cert: The certificate file "gone.crt" cannot be read (ENOENT).'],
  ['tls: { cert: a.crt, key: b.key }', 't.yaml:2:26: tls.key: The private key in "b.key" does not belong to the certificate in "a.crt".'],
  [
    'tls: { cert: a.crt, key: locked.key }',
    't.yaml:2:26: tls.key: The private key in "locked.key" is encrypted. Store it without a passphrase, in a file that only this user may read.',
  ],
  [
    'tls: { cert: words.txt, key: a.key }',
    't.yaml:2:14: tls.cert: There is no certificate in PEM in "words.txt". It begins with -----BEGIN CERTIFICATE-----.',
  ],
  [
    'tls: { cert: a.crt, key: words.txt }',
    't.yaml:2:26: tls.key: There is no private key in PEM in "words.txt". It begins with -----BEGIN PRIVATE KEY-----.',
  ],
  [
    'tls: { cert: a.crt, key: a.key, clientCa: words.txt }',
    't.yaml:2:43: tls.clientCa: There is no certificate in PEM in "words.txt". It begins with -----BEGIN CERTIFICATE-----.',
  ],
  ['tls: { cert: a.crt }', 't.yaml:2:6: tls.key: This key is needed here and missing.'],
  [
    'listeners: [{ address: "127.0.0.1:4141" }]',
    't.yaml:2:24: listeners[0].address: Port 4141 is also the port of listen. Give the two different ports.',
  ],
  [
    'listeners: [{ address: unix:/a }, { address: unix:/a }]',
    't.yaml:2:46: listeners[1].address: /a is also the socket of listeners[0].address. Give the two different paths.',
  ],
  [
    'listen: unix:/a\ntls: { cert: a.crt, key: a.key }',
    't.yaml:3:6: tls: There is no TLS over a Unix socket, whose mode says who may connect. Take tls away.',
  ],
  [
    'caller: client-cert',
    't.yaml:2:9: caller: No address asks clients for certificates. Write clientCa under tls, or take client-cert away.',
  ],
  [
    'caller: client-cert:serial',
    't.yaml:2:9: caller: "client-cert:serial" names no part of a certificate. Write client-cert: and cn, subject, uri, dns, email.',
  ],
  [
    'routes: [{ name: a, prefix: /a, upstream: "http://a" }, { name: b, prefix: /a, when: { host: a.test }, upstream: "http://a" }, { name: c, prefix: /a/b, when: { host: a.test }, upstream: "http://a" }, { name: d, prefix: /a, when: { host: a.test, header: { name: x } }, upstream: "http://a" }, { name: e, prefix: /a, when: { host: A.test }, upstream: "http://a" }]',
    't.yaml:2:293: routes[4]: No request comes here: routes[1] takes all of them. Take one away, or write it further up in the file.',
  ],
  [
    'routes: [{ name: a, prefix: /a, when: { header: { name: x, value: b* } }, upstream: "http://a" }, { name: b, prefix: /a, when: { header: { name: X, value: blue } }, upstream: "http://a" }]',
    't.yaml:2:99: routes[1]: No request comes here: routes[0] takes all of them. Take one away, or write it further up in the file.',
  ],
  [
    'routes: [{ prefix: /a, when: {}, upstream: "http://a" }]',
    't.yaml:2:30: routes[0].when: This holds for every request. Write host or header, or take when away.',
  ],
  [
    'routes: [{ prefix: /a, tls: { ca: a.crt }, upstream: "http://a" }]',
    't.yaml:2:29: routes[0].tls: This upstream is reached without TLS. Write one that begins with https://, or take tls away.',
  ],
  [
    'routes: [{ prefix: /a, tls: { cert: a.crt }, upstream: "https://a" }]',
    't.yaml:2:29: routes[0].tls: A client certificate is a cert and its key. Write key too.',
  ],
  [
    'routes: [{ prefix: /a, tls: { ca: gone.crt }, upstream: "https://a" }]',
    't.yaml:2:35: routes[0].tls.ca: The CA file "gone.crt" cannot be read (ENOENT).',
  ],
  [
    'routes: [{ prefix: /a, tls: { serverName: 10.0.0.1 }, upstream: "https://a" }]',
    't.yaml:2:43: routes[0].tls.serverName: "10.0.0.1" is no name of a server. Write the DNS name in its certificate, such as gateway.internal.',
  ],
  [
    'routes: [{ prefix: /a, upstream: unix:a }]',
    't.yaml:2:34: routes[0].upstream: "unix:a" is no Unix socket. Write unix:/run/gateway.sock, or with a base path unix:/run/gateway.sock:/v1',
  ],
  [
    'listeners: [{ address: unix:/a.sock }]\nroutes: [{ prefix: /a, upstream: unix:/a.sock }]',
    "t.yaml:3:34: routes[0].upstream: /a.sock is the sidecar's own listeners[0].address address: requests would go round for ever. Write the address of your gateway.",
  ],
  [
    'listen: unix:run/a',
    't.yaml:2:9: listen: "unix:run/a" is no Unix socket. Write unix: and an absolute path of at most 100 characters, and perhaps its mode: unix:/run/tokenweir.sock?mode=0660',
  ],
  [
    'listeners: [{ address: ":80" }]\nroutes: [{ prefix: /a, upstream: "http://localhost" }]',
    `t.yaml:3:34: routes[0].upstream: localhost is the sidecar's own listeners[0].address address: requests would go round for ever. Write the address of your gateway.`,
  ],
])('%s', async (text, error) => {
  expect(await errors(text)).toEqual([error])
})
