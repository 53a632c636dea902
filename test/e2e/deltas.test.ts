/** A destination that takes deltas adds them up: over restarts they make what the ledger has, and a count is told once. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { type OtlpJson, startCollector } from '../telemetry/collector.ts'
import { startProduct } from './product.ts'

it('deltas of three starts on one ledger add up to its tokens', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-deltas-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const provider = await startSampleGateway()
  onTestFinished(() => provider.close())
  const collector = await startCollector()
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'delta',
  }
  const body = JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'How much water?' }] })
  let tokens = 0
  for (let starts = 1; starts <= 3; starts++) {
    const product = await startProduct({ upstream: provider.url, env, ledger: join(folder, 'ledger.db') })
    onTestFinished(async () => void (await product.stop('SIGKILL')))
    await (await fetch(`${product.url}/v1/chat/completions`, { method: 'POST', body })).text()
    const rows = await product.closedRows(starts)
    tokens = rows.reduce((sum, row) => sum + Number(row['input_tokens']) + Number(row['output_tokens']), 0)
    expect(await product.stop()).toBe(0)
  }
  const metrics = collector.json('/v1/metrics').flatMap(({ resourceMetrics }) => resourceMetrics[0].scopeMetrics[0].metrics)
  const points = metrics
    .filter(({ name }: OtlpJson) => name === 'gen_ai.client.token.usage')
    .flatMap(({ histogram }: OtlpJson) => histogram.dataPoints)
  expect(points.reduce((sum: number, point: OtlpJson) => sum + point.sum, 0)).toBe(tokens)
})
