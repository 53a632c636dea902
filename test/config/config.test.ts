import { describe, expect, it } from 'vitest'
import { describeError, loadConfig, type Sources } from '../../src/config/config.ts'
import { describeConfig } from '../../src/config/print.ts'
import { settings } from '../../src/config/schema.ts'
import { cloneableConfig } from '../../src/recorder/data.ts'

type Given = Partial<Omit<Sources, 'readFile'>> & { readonly file?: string }

/** Loads from a file `tokenweir.yaml` with the given text, where there is one. */
async function load({ flags = {}, env = {}, file }: Given) {
  const loaded = await loadConfig({
    flags: file === undefined ? flags : { config: 'tokenweir.yaml', ...flags },
    env,
    readFile: (path) => {
      if (file !== undefined && path === 'tokenweir.yaml') return file
      throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
    },
  })
  return loaded
}

async function config(given: Given) {
  const loaded = await load(given)
  if ('errors' in loaded) throw new Error(loaded.errors.map(describeError).join('\n'))
  return loaded.config
}

/** Each error as the line that a person sees. */
async function errors(given: Given): Promise<readonly string[]> {
  const loaded = await load(given)
  return 'errors' in loaded ? loaded.errors.map(describeError) : []
}

const upstream = { upstream: 'http://127.0.0.1:8000' }

describe('with nothing but an upstream', () => {
  it('has every default', async () => {
    expect(await config({ flags: upstream })).toEqual({
      listen: { host: '127.0.0.1', port: 4141 },
      listeners: [],
      admin: { host: '127.0.0.1', port: 4142 },
      ledger: 'tokenweir.db',
      capture: 'inject',
      requestIdHeader: true,
      logFormat: 'auto',
      semconv: '1.41',
      trace: 'child',
      caller: [{ kind: 'api-key' }],
      callerNames: {},
      labels: [],
      routes: [
        {
          name: 'default',
          prefix: '/',
          stripPrefix: false,
          upstream: new URL('http://127.0.0.1:8000'),
          provider: undefined,
          host: 'upstream',
          disconnect: 'cancel',
          trace: 'child',
        },
      ],
      providers: [],
      timeouts: {
        connectMs: 10_000,
        headMs: 900_000,
        idleMs: 900_000,
        clientBodyMs: 60_000,
        clientReadMs: 60_000,
        drainMs: 30_000,
        graceMs: 20_000,
        flushMs: 5000,
      },
      limits: {
        bodyBytes: 16_777_216,
        heldBytes: 67_108_864,
        messageBytes: 4_194_304,
        drainBytes: 8_388_608,
        headerBytes: 65_536,
        labelValues: 1000,
      },
      retention: { days: 90, rollupDays: 400, bytes: 10_737_418_240, spoolBytes: 268_435_456, spoolDays: 7 },
      prices: [],
      budgets: [],
      estimates: { enabled: false },
    })
  })

  it('stops within the thirty seconds that Kubernetes gives', async () => {
    const { timeouts } = await config({ flags: upstream })
    expect(timeouts.graceMs + timeouts.flushMs).toBeLessThan(30_000)
  })
})

describe('precedence', () => {
  const file = 'upstream: http://file:1\nlisten: :1\ncapture: observe\nledger: file.db\n'
  const env = { TOKENWEIR_UPSTREAM: 'http://env:2', TOKENWEIR_LISTEN: ':2', TOKENWEIR_LEDGER: 'env.db', TOKENWEIR_SEMCONV: 'genai' }

  it('is flag, variable, file, default', async () => {
    const { routes, listen, ledger, capture, admin, semconv } = await config({
      file,
      env,
      flags: { upstream: 'http://flag:3', listen: ':3' },
    })
    expect({ upstream: routes[0]?.upstream.href, listen, ledger, capture, admin, semconv }).toEqual({
      upstream: 'http://flag:3/',
      listen: { host: '0.0.0.0', port: 3 },
      ledger: 'env.db',
      capture: 'observe',
      admin: { host: '127.0.0.1', port: 4142 },
      semconv: 'genai',
    })
  })

  it('is told by the origins', async () => {
    const loaded = await load({ file, env, flags: { upstream: 'http://flag:3' } })
    expect('origins' in loaded && Object.fromEntries(loaded.origins)).toEqual({
      config: '--config',
      upstream: '--upstream',
      listen: 'TOKENWEIR_LISTEN',
      ledger: 'TOKENWEIR_LEDGER',
      capture: 'tokenweir.yaml:3:10',
      semconv: 'TOKENWEIR_SEMCONV',
    })
  })

  it('takes an empty variable for one that is not set', async () => {
    expect((await config({ file, env: { TOKENWEIR_LISTEN: '', TOKENWEIR_UPSTREAM: '' } })).listen).toEqual({ host: '0.0.0.0', port: 1 })
  })

  it('lets the variable name the file', async () => {
    const loaded = await load({ env: { TOKENWEIR_CONFIG: 'absent.yaml' } })
    expect('errors' in loaded && loaded.errors).toEqual([
      { key: '', where: 'TOKENWEIR_CONFIG', message: 'The file "absent.yaml" does not exist.' },
    ])
  })
})

describe('a file', () => {
  it('gives routes, durations and sizes', async () => {
    const file = `
routes:
  - { prefix: /openai/, stripPrefix: true, upstream: https://api.openai.com/v1 }
  - { name: eu, prefix: /eu, upstream: "http://[::1]:8000", provider: azure.ai.openai, host: eu.example, trace: link }
  - { upstream: http://gateway, host: client }
semconv: 1.41
timeouts: { graceMs: 1m, idleMs: 0 }
limits: { bodyBytes: 1MiB }
`
    const { routes, semconv, timeouts, limits } = await config({ file })
    expect({ routes, semconv, timeouts, limits }).toEqual({
      routes: [
        {
          name: 'openai',
          prefix: '/openai',
          stripPrefix: true,
          upstream: new URL('https://api.openai.com/v1'),
          provider: undefined,
          host: 'upstream',
          disconnect: 'cancel',
          trace: 'child',
        },
        {
          name: 'eu',
          prefix: '/eu',
          stripPrefix: false,
          upstream: new URL('http://[::1]:8000'),
          provider: 'azure.ai.openai',
          host: { literal: 'eu.example' },
          disconnect: 'cancel',
          trace: 'link',
        },
        {
          name: 'default',
          prefix: '/',
          stripPrefix: false,
          upstream: new URL('http://gateway'),
          provider: undefined,
          host: 'client',
          disconnect: 'cancel',
          trace: 'child',
        },
      ],
      semconv: '1.41',
      timeouts: {
        connectMs: 10_000,
        headMs: 900_000,
        idleMs: 0,
        clientBodyMs: 60_000,
        clientReadMs: 60_000,
        drainMs: 30_000,
        graceMs: 60_000,
        flushMs: 5000,
      },
      limits: {
        bodyBytes: 1_048_576,
        heldBytes: 67_108_864,
        messageBytes: 4_194_304,
        drainBytes: 8_388_608,
        headerBytes: 65_536,
        labelValues: 1000,
      },
    })
  })

  it('may be JSON, also indented with tabs', async () => {
    const file = JSON.stringify({ upstream: 'http://h', timeouts: { flushMs: '1s' } }, null, '\t')
    expect((await config({ file })).timeouts.flushMs).toBe(1000)
  })

  it('may be empty', async () => {
    expect((await config({ file: '# nothing yet\n', flags: upstream })).routes.length).toBe(1)
  })

  it('adds its routes to an upstream for everything else', async () => {
    const { routes } = await config({ file: 'routes: [{prefix: /a, upstream: http://a}]', flags: upstream })
    expect(routes.map(({ name, prefix, upstream: { href } }) => ({ name, prefix, href }))).toEqual([
      { name: 'default', prefix: '/', href: 'http://127.0.0.1:8000/' },
      { name: 'a', prefix: '/a', href: 'http://a/' },
    ])
  })

  it.each([
    ['upstream: [', 'tokenweir.yaml:1:12: This is no valid YAML or JSON: Flow sequence in block collection'],
    ['upstream: http://a\nupstream: http://a', 'tokenweir.yaml:2:1: upstream: This key is here twice. Take one away.'],
    ['{"timeouts": {"idleMs": 1,\n "idleMs": 1}}', 'tokenweir.yaml:2:2: idleMs: This key is here twice. Take one away.'],
    ['upstream: http://a\n__proto__: {ledger: x}', 'tokenweir.yaml:2:1: __proto__: There is no such key. Take it away.'],
    ['{"upstream": "http://a",\n "constructor": 1}', 'tokenweir.yaml:2:2: constructor: There is no such key. Take it away.'],
    ['upstream: http://a\ntimeouts:\n  prototype: 1', 'tokenweir.yaml:3:3: prototype: There is no such key. Take it away.'],
    ['routes: [{prefix: /, upstream: http://a, __proto__: 1}]', 'tokenweir.yaml:1:42: __proto__: There is no such key. Take it away.'],
    ['{"caller": {"from": [{"jwt": {"__proto__": 1}}]}}', 'tokenweir.yaml:1:31: __proto__: There is no such key. Take it away.'],
    [
      '%YAML 1.1\n---\nupstream: http://a\ntimeouts: &a {__proto__: 1}\n<<: *a',
      'tokenweir.yaml:4:15: __proto__: There is no such key. Take it away.',
    ],
    ['upstream: http://a\nproviders: &a [*a]', 'tokenweir.yaml:2:16: *a contains itself. Write the value out.'],
    ['a: 1\n---\nb: 1', 'tokenweir.yaml:2:1: This is no valid YAML or JSON: Source contains multiple documents'],
    ['upstream: !secret x', 'tokenweir.yaml:1:11: This is no valid YAML or JSON: Unresolved tag: !secret'],
    ['- upstream', 'tokenweir.yaml:1:1: The file holds no mapping of settings. Write lines such as'],
    ['just words', 'tokenweir.yaml:1:1: The file holds no mapping of settings. Write lines such as'],
  ])('that is %j is refused with its place', async (file, line) => {
    const found = await errors({ file })
    expect([found.length, found[0]?.slice(0, line.length)]).toEqual([1, line])
  })

  it('that is huge is refused at once', async () => {
    expect(await errors({ file: `upstream: http://a #${'x'.repeat(1024 * 1024)}` })).toEqual([
      '--config: The file "tokenweir.yaml" is larger than 1 MiB. Name the file with the settings.',
    ])
  })

  it.each([
    ['lists', '['.repeat(50_000)],
    ['mappings', '{"a":'.repeat(50_000)],
  ])('of ever deeper %s is refused', async (_what, file) => {
    const found = await errors({ file })
    expect(found.length).toBeLessThanOrEqual(10)
    expect(found[0]).toMatch(/^tokenweir\.yaml:1:\d+: This is no valid YAML or JSON: /)
  })

  it('of 60,000 keys is refused without comparing each with all others', async () => {
    const keys = Array.from({ length: 60_000 }, (_, index) => `k${index}: 1`)
    const found = await errors({ file: [...keys, 'k0: 2'].join('\n') })
    expect(found).toEqual(['tokenweir.yaml:60001:1: k0: This key is here twice. Take one away.'])
  }, 60_000)

  it('that would unfold without end is refused', async () => {
    const steps = Array.from({ length: 8 }, (_, index) => `a${index + 1}: &a${index + 1} [${Array(9).fill(`*a${index}`).join(',')}]`)
    expect(await errors({ file: `a0: &a0 [x]\n${steps.join('\n')}` })).toEqual([
      'tokenweir.yaml: The file could not be unfolded: Excessive alias count indicates a resource exhaustion attack.',
    ])
  })
})

describe('what is wrong', () => {
  it('is told all at once, each with its place and its mend', async () => {
    const file = `listen: 4141
upstream: http://user:hunter2@gateway
timeouts: {connectMs: fast, idle: 3}
limits:
  bodyBytes: 1
  labelValue: 5
routes:
  - prefix: /a
    upstream: http://a
    apiKey: hunter2
  - prefix: /a/
    upstream: http://localhost:4141/x
  - name: q
    prefx: b
admin: :4141
colour: red
`
    expect(
      await errors({ file, env: { TOKENWEIR_CAPTURE: 'always', TOKENWEIR_LEDGR: 'x', TOKENWEIR___PROTO__: 'x' }, flags: { ledger: '' } }),
    ).toEqual([
      'TOKENWEIR_LEDGR: There is no such variable. Did you mean TOKENWEIR_LEDGER?',
      'TOKENWEIR___PROTO__: There is no such variable. Take it away.',
      'tokenweir.yaml:2:11: upstream: "http://***@gateway" holds credentials. Take them out: clients send their own, in a header, and the sidecar passes them on.',
      '--ledger: an empty value is not a path. Write the path of a file, such as ./tokenweir.db',
      'TOKENWEIR_CAPTURE: "always" is not one of the choices. Write inject or observe.',
      'tokenweir.yaml:10:5: routes[0].apiKey: There is no such key. The keys here are name, prefix, stripPrefix, upstream, provider, host, disconnect, trace, when, tls, http2, probe.',
      'tokenweir.yaml:13:5: routes[2].upstream: This key is needed here and missing.',
      'tokenweir.yaml:14:5: routes[2].prefx: There is no such key. Did you mean prefix?',
      'tokenweir.yaml:3:23: timeouts.connectMs: "fast" is not a duration. Write milliseconds (10000) or a number with ms, s, m or h (30s); 0 means without limit.',
      'tokenweir.yaml:3:29: timeouts.idle: There is no such key. Did you mean idleMs?',
      'tokenweir.yaml:5:14: limits.bodyBytes: 1 is out of bounds. Write bytes or a number with KiB, MiB or GiB, from 1KiB to 1GiB.',
      'tokenweir.yaml:6:3: limits.labelValue: There is no such key. Did you mean labelValues?',
      'tokenweir.yaml:16:1: colour: There is no such key. The keys here are upstream, listen, admin, ledger, capture, requestIdHeader, logFormat, disconnect, semconv, trace, caller, callerNames, callerNamesFile, labels, tls, listeners, routes, providers, timeouts, limits, retention, prices, pricesFile, budgets, estimates, adminTls, adminToken, traceUrl.',
      'tokenweir.yaml:11:13: routes[1].prefix: "/a" is already the prefix of routes[0]. Give each its own, or take one away.',
      "tokenweir.yaml:12:15: routes[1].upstream: localhost:4141 is the sidecar's own listen address: requests would go round for ever. Write the address of your gateway.",
      "tokenweir.yaml:12:15: routes[1].upstream: localhost:4141 is the sidecar's own admin address: requests would go round for ever. Write the address of your gateway.",
      'tokenweir.yaml:13:5: routes[2].prefix: "/" is already the prefix of upstream. Give each its own, or take one away.',
      'tokenweir.yaml:15:8: admin: Port 4141 is also the port of listen. Give the two different ports.',
    ])
  })

  it('is a missing upstream, with an example', async () => {
    const sentence =
      'upstream: Nothing says where requests go. Start with the address of your gateway, for example: tokenweir --upstream http://127.0.0.1:8000 ' +
      '(or set TOKENWEIR_UPSTREAM, or write routes in a file and name it with --config).'
    expect(await errors({})).toEqual([sentence])
    expect(await errors({ file: 'routes: []' })).toEqual([sentence])
  })

  it.each([
    [
      'routes: {prefix: /a}',
      'tokenweir.yaml:1:9: routes: a mapping is not a list. Write the routes as a list, each line beginning with "- ".',
    ],
    ['routes: [5]', 'tokenweir.yaml:1:10: routes[0]: 5 is not a mapping of settings.'],
    ['timeouts: 5\nupstream: http://h', 'tokenweir.yaml:1:11: timeouts: 5 is not a mapping of settings.'],
    ['timeouts: [5]\nupstream: http://h', 'tokenweir.yaml:1:11: timeouts: A list is no mapping of settings.'],
    [
      'config: a.yaml\nupstream: http://h',
      'tokenweir.yaml:1:1: config: There is no such key. The keys here are upstream, listen, admin, ledger, ',
    ],
    ['upstream:', `tokenweir.yaml:1:10: upstream: an empty value is not a URL. Write http:// or https://, the host, `],
  ])('is the shape of %j', async (file, line) => {
    expect((await errors({ file })).map((found) => found.slice(0, line.length))).toEqual([line])
  })

  it.each([
    ['127.0.0.1:4141', 'http://127.0.0.1:4141'],
    ['127.0.0.1:4141', 'http://localhost:4141/base'],
    ['127.0.0.1:4141', 'http://0.0.0.0:4141'],
    [':4141', 'http://127.0.0.1:4141'],
    ['[::]:4141', 'http://[::1]:4141'],
    ['localhost:80', 'http://127.0.0.1'],
    ['gateway:443', 'https://gateway'],
  ])('is an upstream that is the sidecar itself: %s and %s', async (listen, to) => {
    expect(await errors({ flags: { listen, upstream: to } })).toEqual([expect.stringContaining("is the sidecar's own listen address")])
  })

  it.each([
    ['127.0.0.1:4141', 'http://127.0.0.1:8000'],
    ['127.0.0.1:0', 'http://127.0.0.1:4141'],
    ['127.0.0.2:4141', 'http://127.0.0.1:4141'],
    [':4141', 'http://gateway:4141'],
  ])('is not an upstream that only looks like it: %s and %s', async (listen, to) => {
    expect(await errors({ flags: { listen, upstream: to } })).toEqual([])
  })

  it('is the same name for two routes', async () => {
    const file = 'routes: [{name: x, prefix: /a, upstream: http://a}, {name: x, prefix: /b, upstream: http://b}]'
    expect(await errors({ file })).toEqual([
      'tokenweir.yaml:1:60: routes[1].name: "x" is already the name of routes[0]. Give each its own.',
    ])
  })

  it('is not port 0 twice: the system chooses two', async () => {
    expect(await errors({ flags: { ...upstream, listen: '0', admin: '0' } })).toEqual([])
  })

  it('is a route by the name that stands for no route', async () => {
    expect(await errors({ file: 'routes: [{prefix: /none, upstream: http://a}]' })).toEqual([
      'tokenweir.yaml:1:10: routes[0].name: "none" stands for requests that no route takes. Write another name.',
    ])
  })

  it('is no variable that Kubernetes sets beside a service', async () => {
    const env = { TOKENWEIR_SERVICE_HOST: '10.0.0.1', TOKENWEIR_PORT: 'tcp://10.0.0.1:4141', TOKENWEIR_PORT_4141_TCP_PROTO: 'tcp' }
    expect(await errors({ env, flags: upstream })).toEqual([])
  })

  it('never repeats a credential', async () => {
    const file = 'routes: [{upstream: "https://k:hunter2@h/"}, {upstream: {password: hunter2}}]\nhunter2: x\npassword: hunter2\n'
    const lines = await errors({ file, env: { TOKENWEIR_UPSTREAM: 'https://h/?key=hunter2' } })
    expect(lines.filter((line) => line.includes('hunter2'))).toEqual([
      expect.stringMatching(/^tokenweir\.yaml:2:1: hunter2: There is no such key\./),
    ])
  })
})

describe('a price', () => {
  it('has an amount for what it names, and none for what it does not', async () => {
    const file = 'prices:\n  - {provider: vllm, model: "llama-*", input: 0.1, output: 0}\n  - {model: m, free: true}\n'
    expect((await config({ flags: upstream, file })).prices).toEqual([
      { provider: 'vllm', model: 'llama-*', input: 0.1, output: 0, cacheRead: undefined, cacheWrite: undefined, free: false },
      { provider: undefined, model: 'm', input: undefined, output: undefined, cacheRead: undefined, cacheWrite: undefined, free: true },
    ])
  })

  it.each([
    [
      '{model: m, input: -1}',
      '1:29: prices[0].input: -1 is no price. Write USD per million tokens as a number, such as 2.5, or free: true.',
    ],
    [
      '{model: m, input: cheap}',
      '1:29: prices[0].input: "cheap" is no price. Write USD per million tokens as a number, such as 2.5, or free: true.',
    ],
    ['{input: 1}', '1:11: prices[0].model: This key is needed here and missing.'],
    [
      '{model: "", input: 1}',
      '1:19: prices[0].model: an empty value is no model. Write a name such as gpt-4o, or a pattern such as llama-*.',
    ],
    ['{model: m}', '1:11: prices[0]: There is no price here. Write input and output in USD per million tokens, or free: true.'],
    [
      '{model: m, cacheRead: 1}',
      '1:11: prices[0]: There is no price here. Write input and output in USD per million tokens, or free: true.',
    ],
    ['{model: m, input: 1, free: true}', '1:38: prices[0].free: free and input contradict each other. Take one away.'],
  ])('is refused when it is %s', async (price, line) => {
    expect(await errors({ flags: upstream, file: `prices: [ ${price} ]` })).toEqual([`tokenweir.yaml:${line}`])
  })
})

describe('the way to an upstream', () => {
  it('of a route that asks for HTTP/2 needs TLS', async () => {
    const file = 'routes:\n  - { prefix: /a, upstream: https://a, http2: true }\n  - { prefix: /b, upstream: http://b, http2: true }'
    expect(await errors({ file })).toEqual([
      'tokenweir.yaml:3:46: routes[1].http2: HTTP/2 is agreed on over TLS. Write an upstream that begins with https://, or take http2 away.',
    ])
  })

  it('goes through the forward proxy that the given environment names, whose credentials the recorder is not given', async () => {
    const file =
      'caller: [jwt: {claim: sub, jwks: "https://a/keys"}]\n' +
      'routes:\n  - { prefix: /a, upstream: https://a }\n  - { prefix: /b, upstream: http://b }\n  - { prefix: /c, upstream: https://c.corp }'
    const loaded = await config({ file, env: { HTTPS_PROXY: 'http://me:secret@proxy:3128', NO_PROXY: '.corp' } })
    expect(loaded.routes.map(({ proxy }) => proxy)).toEqual([
      { origin: 'http://proxy:3128', authorization: `Basic ${Buffer.from('me:secret').toString('base64')}` },
      undefined,
      'none',
    ])
    expect(JSON.stringify(loaded.caller)).toContain('Basic ')
    expect(JSON.stringify(cloneableConfig(loaded))).not.toMatch(/proxy|Basic/)
  })

  it('is an error at the variable that holds no proxy, said once', async () => {
    const file = 'routes:\n  - { prefix: /a, upstream: https://a }\n  - { prefix: /c, upstream: https://c }'
    expect(await errors({ file, env: { https_proxy: 'ftp://proxy' } })).toEqual([
      'https_proxy: "ftp://proxy" is not a proxy. Write http://host:port, or name the upstream\'s host in NO_PROXY.',
    ])
  })
})

describe('the configuration as it is printed', () => {
  const file = `
ledger: "yes"
routes:
  - { prefix: /openai/, stripPrefix: true, upstream: https://api.openai.com/v1 }
  - { name: eu, prefix: "/eu:1", upstream: "http://[::1]:8000", provider: azure.ai.openai, host: eu.example:1, trace: no-usage }
providers:
  - { provider: my.own, when: { header: { name: X-Backend, value: "blue*" }, host: "*.Internal", path: "/a/*", model: "gpt-*" } }
  - { provider: other, when: { model: "true" } }
caller: { from: [header: X-User-Id, jwt: { claim: sub, jwks: { kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo }, issuer: me }, jwt: { claim: org, jwks: "https://issuer.example/keys" }, api-key] }
callerNames: { key:7ce877b643: search-team, "key:0123456789": "yes: 1" }
prices:
  - { provider: vllm, model: "meta/llama-*", input: 0.1, output: 0.25, cacheRead: 0, cacheWrite: 1e-7 }
  - { model: "*:free", free: true }
estimates: { enabled: true }
`
  it('reads back as the same configuration', async () => {
    const loaded = await load({ file, flags: { ...upstream, listen: '[::1]:0', ledger: './my "own" ledger.db' } })
    if ('errors' in loaded) throw new Error('not expected')
    const printed = describeConfig(loaded.config, loaded.origins, { dim: (text) => text })
    expect(await config({ file: printed })).toEqual(loaded.config)
  })

  it('shows where links to traces go, and that there is a token, never which', async () => {
    const env = { TOKENWEIR_ADMIN_TOKEN: 'a-token-of-32-characters-0123456', TOKENWEIR_TRACE_URL: 'http://traces/{traceId}' }
    const loaded = await load({ flags: upstream, env })
    if ('errors' in loaded) throw new Error('not expected')
    const printed = describeConfig(loaded.config, loaded.origins, { dim: (text) => text })
    expect(
      printed
        .split('\n')
        .slice(-3)
        .map((line) => line.replace(/\s+/g, ' ')),
    ).toEqual(['# adminToken: (not shown) # TOKENWEIR_ADMIN_TOKEN', 'traceUrl: "http://traces/{traceId}" # TOKENWEIR_TRACE_URL', ''])
    expect(await config({ file: printed })).toEqual({ ...loaded.config, adminToken: undefined })
  })

  it('says where each value comes from', async () => {
    const loaded = await load({ flags: upstream, env: { TOKENWEIR_LISTEN: ':80' } })
    if ('errors' in loaded) throw new Error('not expected')
    expect(describeConfig(loaded.config, loaded.origins, { dim: (text) => text })).toBe(`listen: 0.0.0.0:80       # TOKENWEIR_LISTEN
admin: 127.0.0.1:4142    # default
ledger: tokenweir.db     # default
capture: inject          # default
requestIdHeader: true    # default
logFormat: auto          # default
semconv: "1.41"          # default
trace: child             # default
caller: api-key          # default
labels: none             # default
routes:
  - name: default
    prefix: /
    stripPrefix: false
    upstream: http://127.0.0.1:8000/
    disconnect: cancel
    host: upstream
    trace: child
timeouts:
  connectMs: 10000       # default
  headMs: 900000         # default
  idleMs: 900000         # default
  clientBodyMs: 60000    # default
  clientReadMs: 60000    # default
  drainMs: 30000         # default
  graceMs: 20000         # default
  flushMs: 5000          # default
limits:
  bodyBytes: 16777216    # default
  heldBytes: 67108864    # default
  messageBytes: 4194304  # default
  drainBytes: 8388608    # default
  headerBytes: 65536     # default
  labelValues: 1000      # default
retention:
  days: 90               # default
  rollupDays: 400        # default
  bytes: 10737418240     # default
  spoolBytes: 268435456  # default
  spoolDays: 7           # default
prices: []               # default
budgets: []              # default
estimates:
  enabled: false         # default
`)
  })
})

describe('the table of settings', () => {
  it('has the contract of flags and variables', () => {
    const contract = settings.filter(({ env, flag }) => env !== undefined || flag !== undefined)
    expect(contract.map((setting) => [setting.key, setting.flag, setting.env, setting.default])).toEqual([
      ['config', '--config', 'TOKENWEIR_CONFIG', undefined],
      ['upstream', '--upstream', 'TOKENWEIR_UPSTREAM', undefined],
      ['listen', '--listen', 'TOKENWEIR_LISTEN', '127.0.0.1:4141'],
      ['admin', '--admin', 'TOKENWEIR_ADMIN', '127.0.0.1:4142'],
      ['ledger', '--ledger', 'TOKENWEIR_LEDGER', 'tokenweir.db'],
      ['capture', '--capture', 'TOKENWEIR_CAPTURE', 'inject'],
      ['logFormat', '--log-format', 'TOKENWEIR_LOG_FORMAT', 'auto'],
      ['disconnect', undefined, 'TOKENWEIR_DISCONNECT', 'cancel'],
      ['semconv', undefined, 'TOKENWEIR_SEMCONV', '1.41'],
      ['trace', undefined, 'TOKENWEIR_TRACE', 'child'],
      ['caller', undefined, 'TOKENWEIR_CALLER', 'api-key'],
      ['callerNamesFile', undefined, 'TOKENWEIR_CALLER_NAMES_FILE', undefined],
      ['labels', undefined, 'TOKENWEIR_LABELS', 'none'],
      ['pricesFile', undefined, 'TOKENWEIR_PRICES_FILE', undefined],
      ['adminToken', undefined, 'TOKENWEIR_ADMIN_TOKEN', undefined],
      ['traceUrl', undefined, 'TOKENWEIR_TRACE_URL', undefined],
    ])
  })

  it('describes every setting', () => {
    expect(settings.filter(({ description, type }) => description === '' || type === '')).toEqual([])
  })

  it('has defaults that mean themselves when they are written in a file', async () => {
    const sections = (start: string) =>
      settings.filter(({ key }) => key.startsWith(start)).map((setting) => `  ${setting.key.slice(start.length)}: ${setting.default}`)
    const top = settings
      .filter(({ key, default: written }) => !/[.[]/.test(key) && written !== undefined)
      .map((setting) => `${setting.key}: ${setting.default}`)
    const file = [...top, 'timeouts:', ...sections('timeouts.'), 'limits:', ...sections('limits.')].join('\n')
    expect(await config({ file, flags: upstream })).toEqual(await config({ flags: upstream }))
  })
})

describe('budgets', () => {
  const budgetsOf = async (text: string) => {
    const loaded = await load({ flags: upstream, file: text })
    return 'errors' in loaded ? loaded.errors.map(describeError) : loaded.config.budgets
  }

  it('have a name, whose they are, a period, a time zone and an amount', async () => {
    expect(
      await budgetsOf(
        'budgets: [{name: search, where: {label:team: search, provider: [openai, x]}, period: day, timeZone: Asia/Tokyo, usd: 0.5, tokens: 9}]',
      ),
    ).toEqual([
      {
        ...{ name: 'search', where: { 'label:team': ['search'], provider: ['openai', 'x'] }, period: 'day' },
        ...{ timeZone: 'Asia/Tokyo', usd: 0.5, tokens: 9 },
      },
    ])
    expect(await budgetsOf('budgets: [{name: all, usd: 5}]')).toMatchObject([
      { where: {}, period: 'month', timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone },
    ])
  })

  it.each([
    ['{name: a}', /Nothing says how much may be spent/],
    ['{name: a, usd: 0}', /is no amount/],
    ['{name: a, usd: 5}, {name: a, usd: 6}', /Another budget has this name/],
    ['{name: a, usd: 5, where: {colour: red}}', /There is no such key/],
    ['{name: a, usd: 5, where: {day: monday}}', /There is no such key/],
    ['{name: a, usd: 5, where: {caller: {}}}', /This is no value/],
    ['{name: a, usd: 5, where: all}', /is no mapping/],
    ['{name: a, usd: 5, timeZone: Mars/Olympus}', /is no time zone/],
    ['{name: a, usd: 5, period: year}', /day or week or month/],
  ])('%s is refused', async (text, message) => {
    expect(await budgetsOf(`budgets: [${text}]`)).toEqual([expect.stringMatching(message)])
  })
})
