import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { describeError, loadConfig } from '../../src/config/config.ts'

const pair = generateKeyPairSync('ed25519')
const publicPem = String(pair.publicKey.export({ type: 'spki', format: 'pem' }))
const privatePem = String(pair.privateKey.export({ type: 'pkcs8', format: 'pem' }))
const jwk = pair.publicKey.export({ format: 'jwk' })
const privateJwk = pair.privateKey.export({ format: 'jwk' })

const files: Readonly<Record<string, string>> = {
  'keys.json': JSON.stringify({ keys: [{ ...jwk, kid: 'a' }] }),
  'key.pem': publicPem,
  'private.pem': privatePem,
  'private.json': JSON.stringify(privateJwk),
  'secret.json': JSON.stringify({ keys: [{ kty: 'oct', k: 'hunter2' }] }),
  'empty.json': '{"keys": []}',
  'words.txt': 'hunter2',
}

async function load(caller: string, env: Record<string, string> = {}) {
  const loaded = await loadConfig({
    flags: { upstream: 'http://h', config: 'tokenweir.yaml' },
    env,
    readFile: (path) => {
      const text = path === 'tokenweir.yaml' ? caller : files[path]
      if (text === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
      return text
    },
  })
  return 'errors' in loaded ? loaded.errors.map(describeError) : loaded.config.caller
}

const quoted = (text: string) => JSON.stringify(text)

describe('the sources of callers', () => {
  it.each([
    ['', [{ kind: 'api-key' }]],
    ['caller: none', []],
    ['caller: api-key', [{ kind: 'api-key' }]],
    ['caller: header:X-User-Id, api-key', [{ kind: 'header', name: 'x-user-id' }, { kind: 'api-key' }]],
    ['caller: [{header: x-tenant}, api-key]', [{ kind: 'header', name: 'x-tenant' }, { kind: 'api-key' }]],
    ['caller: {from: [{header: x-tenant}]}', [{ kind: 'header', name: 'x-tenant' }]],
    ['caller: {from: api-key}', [{ kind: 'api-key' }]],
    [
      'caller: [jwt: {claim: sub, jwks: keys.json, issuer: me, audience: you}]',
      [{ kind: 'jwt', claim: 'sub', jwks: { file: 'keys.json', keys: [{ ...jwk, kid: 'a' }] }, issuer: 'me', audience: 'you' }],
    ],
    ['caller: [jwt: {claim: sub, jwks: key.pem}]', [{ kind: 'jwt', claim: 'sub', jwks: { file: 'key.pem', keys: [jwk] } }]],
    [`caller: [jwt: {claim: sub, jwks: ${JSON.stringify(jwk)}}]`, [{ kind: 'jwt', claim: 'sub', jwks: { keys: [jwk] } }]],
    [`caller: [jwt: {claim: sub, jwks: ${quoted(publicPem)}}]`, [{ kind: 'jwt', claim: 'sub', jwks: { keys: [jwk] } }]],
  ])('%j', async (file, sources) => {
    expect(await load(file)).toEqual(sources)
  })

  it.each([
    ['https://issuer.example/keys?tenant=a', { url: 'https://issuer.example/keys?tenant=a', keys: [] }],
    ['http://localhost:8080/keys', { url: 'http://localhost:8080/keys', keys: [] }],
    ['http://[::1]/keys#x', { url: 'http://[::1]/keys', keys: [] }],
  ])('may have keys at %s', async (jwks, read) => {
    expect(await load(`caller: [jwt: {claim: sub, jwks: "${jwks}"}]`)).toEqual([{ kind: 'jwt', claim: 'sub', jwks: read }])
  })

  it('have the forward proxy on the way to their keys', async () => {
    const file = 'caller: [jwt: {claim: sub, jwks: "https://issuer.example/keys"}, jwt: {claim: sub, jwks: "http://localhost/keys"}]'
    const env = { HTTPS_PROXY: 'http://user:hunter2@proxy:3128', HTTP_PROXY: 'http://proxy:3128' }
    expect(await load(file, env)).toMatchObject([
      { jwks: { url: 'https://issuer.example/keys', proxy: { origin: 'http://proxy:3128' } } },
      { jwks: { url: 'http://localhost/keys', proxy: 'none' } },
    ])
  })

  it('come from the variable before the file', async () => {
    expect(await load('caller: api-key', { TOKENWEIR_CALLER: 'none' })).toEqual([])
  })

  it.each([
    [
      'caller: key',
      'tokenweir.yaml:1:9: caller: "key" is no source of callers. Write none, api-key, header:NAME, client-cert:cn, several of them with commas,',
    ],
    ['caller: [key]', 'tokenweir.yaml:1:10: caller[0]: "key" is no source of callers.'],
    ['caller: {form: api-key}', 'tokenweir.yaml:1:16: caller.form: There is no key "form" here. Did you mean from?'],
    [
      'caller: {from: [{header: a b}]}',
      'tokenweir.yaml:1:26: caller.from[0].header: "a b" is no header name. Write a name such as x-user-id.',
    ],
    ...[
      'Authorization',
      'X-Api-Key',
      'Cookie',
      'x-goog-api-key',
      'x-amz-security-token',
      'cf-access-jwt-assertion',
      'x-portkey-config',
      'Sec-WebSocket-Protocol',
      'Referer',
      'X-Original-URI',
      'x-forwarded-url',
      'x-hub-signature-256',
      'x-accesstoken',
      'DPoP',
      'x-bearer',
      'x-db-passphrase',
    ].map(
      (name) => [`caller: header:${name}`, `tokenweir.yaml:1:9: caller: The header "${name.toLowerCase()}" can hold a credential`] as const,
    ),
    ['caller: [{header: a, jwt: {}}]', 'tokenweir.yaml:1:10: caller[0]: One source is a header or a jwt.'],
    ['caller: [jwt: {jwks: keys.json}]', 'tokenweir.yaml:1:15: caller[0].jwt: Nothing says which claim names the caller.'],
    ['caller: [jwt: {claim: sub}]', 'tokenweir.yaml:1:15: caller[0].jwt: Nothing says which keys sign the tokens.'],
    [
      'caller: [jwt: {claim: sub, jwks: gone.json}]',
      'tokenweir.yaml:1:34: caller[0].jwt.jwks: The key file "gone.json" cannot be read (ENOENT).',
    ],
    ...['private.pem', 'private.json'].map(
      (name) =>
        [
          `caller: [jwt: {claim: sub, jwks: ${name}}]`,
          `tokenweir.yaml:1:34: caller[0].jwt.jwks: In "${name}": This is a private key. Give the sidecar the public key only`,
        ] as const,
    ),
    [
      'caller: [jwt: {claim: sub, jwks: secret.json}]',
      'tokenweir.yaml:1:34: caller[0].jwt.jwks: In "secret.json": This is a shared secret.',
    ],
    ['caller: [jwt: {claim: sub, jwks: empty.json}]', 'tokenweir.yaml:1:34: caller[0].jwt.jwks: In "empty.json": There is no key in it.'],
    [
      'caller: [jwt: {claim: sub, jwks: words.txt}]',
      'tokenweir.yaml:1:34: caller[0].jwt.jwks: In "words.txt": This is neither a JSON Web Key Set',
    ],
    [
      'caller: [jwt: {claim: sub, jwks: "http://issuer.example/keys"}]',
      'tokenweir.yaml:1:34: caller[0].jwt.jwks: Over http:// anybody on the way can change the keys. Write https://;',
    ],
    [
      'caller: [jwt: {claim: sub, jwks: "ftp://h/keys"}]',
      'tokenweir.yaml:1:34: caller[0].jwt.jwks: "ftp://h/keys" is no URL of keys. Write for',
    ],
    [
      'caller: [jwt: {claim: sub, jwks: "https://a:hunter2@h/keys"}]',
      'tokenweir.yaml:1:34: caller[0].jwt.jwks: Public keys need no credentials. Take user and password out of the URL.',
    ],
    ['caller: [jwt: {claim: sub, jwks: {kty: RSA}}]', 'tokenweir.yaml:1:34: caller[0].jwt.jwks: This key cannot be read.'],
  ] as readonly (readonly [string, string])[])('that are wrong are refused with the place: %j', async (file, line) => {
    const found = await load(file)
    expect(found.map((error) => String(error).slice(0, line.length))).toEqual([line])
    expect(String(found)).not.toContain('hunter2')
  })
})

describe('readable names', () => {
  it.each([
    [
      'callerNames: search',
      'tokenweir.yaml:1:14: callerNames: "search" is no mapping of values. Write for example {"key:7ce877b643": search-team}.',
    ],
    ['callerNames: {key:7ce877b643: [a]}', 'tokenweir.yaml:1:31: callerNames.key:7ce877b643: a list is no text.'],
    ['callerNamesFile: gone.yaml', 'tokenweir.yaml:1:18: callerNamesFile: The file "gone.yaml" cannot be used: ENOENT'],
    ['callerNamesFile: words.txt', 'tokenweir.yaml:1:18: callerNamesFile: The file "words.txt" cannot be used: "hunter2" is no mapping'],
  ])('that are wrong are refused with the place: %j', async (file, line) => {
    expect((await load(file)).map((error) => String(error).slice(0, line.length))).toEqual([line])
  })
})

describe('rules of one\u2019s own', () => {
  async function errors(file: string) {
    return load(`providers:\n${file}`)
  }

  it.each([
    ['  - {provider: a, when: {}}', 'tokenweir.yaml:2:25: providers[0].when: This holds for every request. Write at least one of'],
    ['  - {provider: a}', 'tokenweir.yaml:2:5: providers[0].when: This key is needed here and missing.'],
    ['  - {when: {model: x}}', 'tokenweir.yaml:2:5: providers[0].provider: This key is needed here and missing.'],
    ['  - {provider: a, when: {modell: x}}', 'tokenweir.yaml:2:26: providers[0].when.modell: There is no such key. Did you mean model?'],
    ['  - {provider: a, when: {model: ""}}', 'tokenweir.yaml:2:33: providers[0].when.model: an empty value is no pattern.'],
    ['  - {provider: a, when: {path: team}}', 'tokenweir.yaml:2:32: providers[0].when.path: "team" is no pattern for a path.'],
    ['  - {provider: a, when: {host: "h:80"}}', 'tokenweir.yaml:2:32: providers[0].when.host: "h:80" is no pattern for a host.'],
    [
      '  - {provider: a, when: {header: {value: x}}}',
      'tokenweir.yaml:2:34: providers[0].when.header.name: This key is needed here and missing.',
    ],
    [
      '  - {provider: a, when: {header: {name: X-Api-Key}}}',
      'tokenweir.yaml:2:41: providers[0].when.header.name: The header "x-api-key" can hold',
    ],
    [
      '  {provider: a}',
      'tokenweir.yaml:2:3: providers: a mapping is not a list. Write the providers as a list, each line beginning with "- ".',
    ],
  ])('that are wrong are refused with the place: %j', async (file, line) => {
    expect((await errors(file)).map((error) => String(error).slice(0, line.length))).toEqual([line])
  })
})
