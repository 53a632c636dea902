/** Prometheus itself, both ways that `docs/destinations.md` gives: with the blocks as they stand there, it has the ledger's tokens. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { missingTools } from '../../scripts/stack-tools.ts'
import { blockOf, variablesFor } from '../docs/destination-blocks.ts'
import { type Product, startProduct } from '../e2e/product.ts'
import { freeAddresses, startProgram, until } from './programs.ts'
import { createPrometheus } from './prometheus.ts'

async function startSidecar(env: Readonly<Record<string, string>> = {}): Promise<Product> {
  const provider = await startSampleGateway()
  onTestFinished(() => provider.close())
  const product = await startProduct({ upstream: provider.url, env })
  onTestFinished(async () => void (await product.stop('SIGKILL')))
  return product
}

async function startPrometheus(address: string, config: string, ...flags: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-prometheus-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'prometheus.yml'), config)
  const args = ['--config.file=prometheus.yml', `--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=${address}`, ...flags]
  const program = await startProgram({ tool: 'prometheus', args, folder, readyUrl: `http://${address}/-/ready` })
  onTestFinished(program.stop)
  return createPrometheus(`http://${address}`)
}

/** Two streams; the tokens of their rows. */
async function send(product: Product): Promise<Readonly<Record<string, number>>> {
  const stream = { stream: true, stream_options: { include_usage: true } }
  const body = JSON.stringify({ model: 'gpt-4o', ...stream, messages: [{ role: 'user', content: 'How much water?' }] })
  for (let n = 0; n < 2; n++) await (await fetch(`${product.url}/v1/chat/completions`, { method: 'POST', body })).text()
  const rows = await product.closedRows(2)
  const sum = (column: string) => rows.reduce((total, row) => total + Number(row[column]), 0)
  return { input: sum('input_tokens'), output: sum('output_tokens') }
}

async function tokensIn(prometheus: ReturnType<typeof createPrometheus>) {
  const samples = await prometheus.query('sum by (gen_ai_token_type) (gen_ai_client_token_usage_sum{job="tokenweir"})')
  return Object.fromEntries(samples.map(({ labels, values }) => [labels['gen_ai_token_type'], values.at(-1)?.[1]]))
}

describe.skipIf(missingTools(['prometheus']).length > 0)('Prometheus', () => {
  it('scrapes the sidecar by the configuration of the page', async () => {
    const product = await startSidecar()
    const { prometheus: address } = await freeAddresses('prometheus')
    const config = blockOf('Prometheus, by a scrape', 'yaml').replace('127.0.0.1:4142', new URL(product.adminUrl).host)
    const prometheus = await startPrometheus(address, `global: { scrape_interval: 1s }\n${config}`)
    const tokens = await send(product)
    expect(
      await until('Prometheus has scraped the tokens', 60_000, async () => {
        const found = await tokensIn(prometheus)
        return found['output'] === tokens['output'] && found
      }),
    ).toEqual(tokens)
  })

  it('takes metrics over OTLP with the variables of the page', async () => {
    const { prometheus: address } = await freeAddresses('prometheus')
    const prometheus = await startPrometheus(address, '', '--web.enable-otlp-receiver')
    const product = await startSidecar(variablesFor(blockOf('Prometheus, over OTLP', 'dotenv'), `http://${address}`))
    const tokens = await send(product)
    expect(await product.stop(), product.stderr()).toBe(0)
    expect(await tokensIn(prometheus)).toEqual(tokens)
  })
})
