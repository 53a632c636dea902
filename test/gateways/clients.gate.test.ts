/** OpenAI's and Anthropic's clients for Python through the sidecar: each label has the same value in ledger, span, log line and metric. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { startProduct } from '../e2e/product.ts'
import { until } from '../proxy/harness.ts'
import { plain, spansOf, startCollector } from '../telemetry/collector.ts'
import { clientsProgram, isInstalled, pythonClients } from './places.ts'

const configuration = `labels:
  team: {from: header:x-team, metric: true}
  user: {metric: true}
  client: {metric: true}
  tenant: {from: baggage:tenant, metric: true}
  customer: {from: body:metadata.customer, metric: true}
`

const wanted = [
  { team: 'search', user: 'u-openai', client: 'openai-python', tenant: 'blue sky', customer: 'c-1' },
  { team: 'search', user: 'u-anthropic', client: 'anthropic-python', tenant: 'blue sky' },
]

const names = ['team', 'user', 'client', 'tenant', 'customer'] as const
const picked = (of: (name: string) => unknown) =>
  Object.fromEntries(names.flatMap((name) => (of(name) === undefined ? [] : [[name, of(name)]])))

describe("Python's clients", () => {
  if (!isInstalled.clients()) return it.skip('are not installed', () => {})

  it('say whom their requests are for, the same in every record', { timeout: 120_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tokenweir-clients-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    writeFileSync(join(folder, 'tokenweir.yaml'), configuration)
    const gateway = await startSampleGateway()
    onTestFinished(() => gateway.close())
    const collector = await startCollector()
    const product = await startProduct({
      ...{ upstream: gateway.url, args: ['--config', join(folder, 'tokenweir.yaml')] },
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_BSP_SCHEDULE_DELAY: '50' },
    })
    onTestFinished(async () => void (await product.stop('SIGKILL')))
    await promisify(execFile)(join(pythonClients.folder, 'bin/python'), [clientsProgram, product.url])

    const rows = await product.closedRows(2)
    expect(rows.map((row) => [row['usage_outcome'], JSON.parse(String(row['labels']))])).toEqual(
      wanted.map((labels) => ['reported', labels]),
    )
    const metrics = await (await fetch(`${product.adminUrl}/metrics`)).text()
    const outputs = metrics.split('\n').filter((line) => /^tokenweir_tokens_total\{.*token_type="output"/.test(line))
    expect(outputs.map((line) => picked((name) => new RegExp(`tokenweir_label_${name}="([^"]*)"`).exec(line)?.[1]))).toEqual(wanted)
    await until(() => product.stdout().split('\n').length > 2)
    await product.stop()
    const lines = product
      .stdout()
      .split('\n')
      .filter((line) => line !== '')
    expect(lines.map((line) => JSON.parse(line).labels)).toEqual(wanted)
    const spans = collector.json('/v1/traces').flatMap(spansOf)
    expect(
      spans.map((span) => {
        const attributes = plain(span.attributes)
        return picked((name) => attributes[`tokenweir.label.${name}`])
      }),
    ).toEqual(wanted)
  })
})
