/** `tokenweir verify` on running sidecars: what passes, and each failure with its own explanation. */
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type SampleGateway, startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { runOn, terminals, visible } from '../cli/terminal.ts'
import { type Product, type ProductOptions, startProduct } from '../e2e/product.ts'
import { startCollector } from '../telemetry/collector.ts'
import { run, verify } from './verified.ts'

async function startBoth(options: Omit<ProductOptions, 'upstream'> = {}): Promise<{ product: Product; gateway: SampleGateway }> {
  const gateway = await startSampleGateway()
  onTestFinished(() => gateway.close())
  const product = await startProduct({ upstream: gateway.url, ...options })
  onTestFinished(async () => void (await product.stop('SIGKILL')))
  return { product, gateway }
}

const exportTo = (url: string) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: url,
  OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  OTEL_BSP_SCHEDULE_DELAY: '50',
})

/** Of the cases that need no sidecar of their own. */
let usual: { readonly product: Product; readonly gateway: SampleGateway }
beforeAll(async () => {
  const gateway = await startSampleGateway()
  usual = { gateway, product: await startProduct({ upstream: gateway.url }) }
  await (await fetch(`${usual.product.url}/v1/models`)).text() // of a client
  await usual.product.closedRows(1)
})
afterAll(async () => {
  await usual.product.stop()
  await usual.gateway.close()
})

const allWell = {
  sidecar: 'ok',
  'stream: answer': 'ok',
  'stream: ledger row': 'ok',
  'plain: answer': 'ok',
  'plain: ledger row': 'ok',
  'log line': 'ok',
  span: 'skipped',
}

/** Of a sidecar that no client has used yet. */
const allWellAtFirst = { ...allWell, clients: 'warned' }

/** What differs from run to run. */
const masked = (text: string) =>
  text
    .replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:PORT')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'ROW')
    .replace(/\b\d+ ms/g, 'N ms')

describe.each(terminals)('verify looks as it should: $name', ({ name, ...terminal }) => {
  it.each(['gpt-4o', 'silent-1'])('%s', async (model) => {
    const { product } = usual
    const places = ['--sidecar', product.url, '--admin', product.adminUrl, '--ledger', product.ledger]
    const { stdout } = await runOn(terminal, ['verify', ...places, '--model', model])
    if (terminal.columns !== undefined && !terminal.colour) {
      expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(terminal.columns)
    }
    await expect(visible(masked(stdout))).toMatchFileSnapshot(`golden/verify-${model}-${name}.txt`)
  })
})

describe('verify', () => {
  it.each(['chat', 'responses', 'messages'])('passes in front of the sample gateway: %s', async (api) => {
    const collector = await startCollector()
    const { product, gateway } = await startBoth({ env: exportTo(collector.url) })
    const { code, checks, sentences } = await verify(product, ['--api', api, '--key-env', 'THE_KEY'], { THE_KEY: 'sk-very-secret' })
    expect({ code, checks }).toEqual({ code: 0, checks: { ...allWellAtFirst, span: 'ok' } })
    expect(sentences).not.toContain('sk-very-secret')
    const [key] = gateway.sent.map(({ requestHeaders }) => requestHeaders[api === 'messages' ? 'x-api-key' : 'authorization'])
    expect(key).toBe(api === 'messages' ? 'sk-very-secret' : 'Bearer sk-very-secret')
  })

  it('says what an upstream does that leaves usage out', async () => {
    const { product } = usual
    const { code, checks, sentences } = await verify(product, ['--model', 'silent-1'])
    expect({ code, checks }).toEqual({
      code: 1,
      checks: { ...allWell, 'stream: ledger row': 'failed', 'plain: ledger row': 'failed' },
    })
    expect(sentences).toContain('A row, without usage: missing (upstream_omitted). The upstream leaves it out although it was asked.')
  })

  it('says that nobody asks for usage when the sidecar only observes', async () => {
    const { product } = await startBoth({ capture: 'observe' })
    const { code, checks, sentences } = await verify(product, [])
    expect({ code, checks }).toEqual({ code: 1, checks: { ...allWellAtFirst, 'stream: ledger row': 'failed' } })
    expect(sentences).toContain('missing (not_requested). Nobody asked the upstream for it: start the sidecar with --capture inject')
  })

  it('says that the provider counted nothing', async () => {
    const { product } = usual
    const { code, sentences } = await verify(product, ['--model', 'zero-1'])
    expect({ code, sentences }).toEqual({ code: 1, sentences: expect.stringContaining('The upstream itself says 0 tokens.') })
  })

  it('says that the ledger cannot be written', async () => {
    const { product } = await startBoth()
    const other = new DatabaseSync(product.ledger)
    other.exec('BEGIN IMMEDIATE')
    const { code, checks, sentences } = await verify(product, ['--wait', '5'])
    other.close()
    expect({ code, checks }).toEqual({
      code: 1,
      checks: { ...allWellAtFirst, 'stream: ledger row': 'failed', 'plain: ledger row': 'failed', sidecar: 'failed' },
    })
    expect(sentences).toMatch(
      /No row: The ledger ledger\.db cannot be written: database is locked\. \d rows wait in memory\. Give its user write access to the ledger file and its folder/,
    )
  })

  it('says that the ledger is of another sidecar, and asks the one that it was given', async () => {
    const { product } = await startBoth()
    const { code, checks, sentences } = await verify({ ...usual.product, ledger: product.ledger }, [])
    expect({ code, checks }).toEqual({ code: 0, checks: { ...allWell, 'ledger file': 'skipped' } })
    expect(sentences).toContain(`The sidecar at ${usual.product.adminUrl} writes another ledger (instance `)
  })

  it.each([
    [400, /The collector refuses/],
    [503, /spans? still waiting after 8 s|The collector refuses/],
  ])('says that the collector refuses: %s', async (status, sentence) => {
    const collector = await startCollector(status)
    const { product } = await startBoth({ env: exportTo(collector.url) })
    const { code, checks, sentences } = await verify(product, ['--wait', '8']) // the rows must have come by then, too
    expect({ code, checks }).toEqual({ code: 1, checks: { ...allWellAtFirst, span: 'failed' } })
    expect(sentences).toMatch(sentence)
    expect(sentences).toContain('Is OTEL_EXPORTER_OTLP_ENDPOINT of the sidecar the address of a collector')
  })

  it.each([
    ['error-401', '401: Incorrect API key provided: sk-***. The upstream does not let this request in. Name the variable'],
    ['error-404', 'The upstream does not know the path or the model. Name a model that it has with --model'],
    ['error-429', 'The upstream has had enough requests.'],
    ['cut-1', 'The connection broke'],
  ])('says why there was no answer: %s', async (model, sentence) => {
    const { product } = usual
    const { code, checks, sentences } = await verify(product, ['--model', model])
    expect([code, checks['stream: answer']]).toEqual([1, 'failed'])
    expect(sentences).toContain(sentence)
  })

  it('says that the upstream is not there', async () => {
    const { product, gateway } = await startBoth()
    await gateway.close()
    const { code, sentences } = await verify(product, [])
    expect({ code, sentences }).toEqual({ code: 1, sentences: expect.stringContaining('The sidecar itself says so (upstream_connect).') })
    expect(sentences).toContain('for a gateway on the host write host.docker.internal')
  })

  it('says that the request went past the sidecar', async () => {
    const { product, gateway } = usual
    const { code, checks, sentences } = await verify(product, ['--sidecar', gateway.url, '--wait', '1'])
    expect([code, checks['stream: answer'], checks['stream: ledger row']]).toEqual([1, 'ok', 'failed'])
    expect(sentences).toContain('The request did not pass through it: is --sidecar its own address, and not that of the gateway?')
  })

  it('says that it was given the admin address for the clients’', async () => {
    const { product } = usual
    const { code, sentences } = await verify(product, ['--sidecar', product.adminUrl, '--wait', '1'])
    expect({ code, sentences }).toEqual({
      code: 1,
      sentences: expect.stringContaining('That is an admin address. Name the address for clients with --sidecar URL.'),
    })
  })

  it('asks the sidecar for its rows where the file is out of reach, with its token', async () => {
    const token = 'a-token-of-the-operator'
    const { product } = await startBoth({ env: { TOKENWEIR_ADMIN_TOKEN: token } })
    const args = ['--ledger', '/nowhere/at/all.db']
    const without = await verify(product, [...args, '--wait', '1'])
    const withToken = await verify(product, [...args, '--wait', '60'], { TOKENWEIR_ADMIN_TOKEN: token })
    expect([without.code, without.checks['stream: ledger row']]).toEqual([1, 'failed'])
    expect(without.sentences).toContain('The ledger /nowhere/at/all.db cannot be read here: there is no such file.')
    expect({ code: withToken.code, checks: withToken.checks }).toEqual({ code: 0, checks: allWell })
  })

  it('says that no sidecar runs', async () => {
    const { product } = await startBoth()
    await product.stop()
    const { code, checks, sentences } = await verify(product, [])
    expect({ code, checks }).toEqual({ code: 1, checks: { sidecar: 'failed' } })
    expect(sentences).toContain('Nothing answers at')
    expect(sentences).toContain('Start the sidecar (tokenweir --upstream URL)')
  })

  it('finds the very lines in a log', async () => {
    const { product } = usual
    const { code, checks, sentences } = await verify(product, ['--log', product.ledger, '--wait', '1'])
    expect([code, checks['log line']]).toEqual([1, 'failed'])
    expect(sentences).toContain(`0 of 2 in ${product.ledger}.`)
  })

  it.each([
    [['--api', 'chatter'], '--api "chatter" is none of chat, responses, messages.'],
    [['--sidecar', 'ftp://x'], '--sidecar "ftp://x" is not a URL. Write it as http://127.0.0.1:4141.'],
    [['--wait', 'long'], '--timeout and --wait are seconds, such as 30.'],
    [['--header', 'authorization sk-secret'], "The 1. --header is no field. Write it as 'NAME: VALUE'."],
    [['--key-env', 'NOT_THERE'], 'The variable NOT_THERE of --key-env is not set.'],
    [['--path', 'v1'], '--path "v1" must begin with "/".'],
    [
      ['--listen', 'unix:/run/a.sock'],
      'verify does not reach a Unix socket. Name another address of the sidecar: --sidecar http://127.0.0.1:4141.',
    ],
  ])('refuses wrong arguments: %s', async (args, sentence) => {
    expect(await run(args)).toEqual({ code: 2, stdout: '', stderr: `tokenweir: ${sentence} See tokenweir --help.\n` })
  })
})
