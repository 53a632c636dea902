/** OTEL_CONFIG_FILE with a sampler, a resource and OTLP exporters, from the sidecar as people start it into the real collector. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { startProduct } from '../e2e/product.ts'
import { freeAddresses, startProgram } from './programs.ts'
import { recordsOf } from './records.ts'
import { root } from './stack.ts'

const configuration = (grpc: string, http: string) => `
file_format: "1.0"
resource:
  attributes:
    - name: service.name
      value: edge-gateway
    - name: deployment.environment.name
      value: staging
tracer_provider:
  sampler:
    parent_based:
      root:
        always_on:
  processors:
    - batch:
        schedule_delay: 200
        exporter:
          otlp_http:
            endpoint: http://${http}/v1/traces
            compression: gzip
logger_provider:
  processors:
    - batch:
        schedule_delay: 200
        exporter:
          otlp_grpc:
            endpoint: http://${grpc}
            tls:
              insecure: true
`

it('exports what the file says, in the way that it says, and nothing is lost when the sidecar is killed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-config-file-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const at = await freeAddresses('grpc', 'http', 'health')
  const file = join(folder, 'otel.yaml')
  writeFileSync(file, configuration(at.grpc, at.http))
  const gateway = await startSampleGateway({ eventMs: 2 })
  onTestFinished(() => gateway.close())
  const options = { upstream: gateway.url, ledger: join(folder, 'ledger.db'), env: { OTEL_CONFIG_FILE: file } }
  const first = await startProduct(options)
  onTestFinished(async () => void (await first.stop('SIGKILL')))
  const ask = async (url: string, traceparent?: string) => {
    const headers = { 'content-type': 'application/json', ...(traceparent === undefined ? {} : { traceparent }) }
    const body = JSON.stringify({
      model: 'claude-sonnet-5-5',
      max_tokens: 20,
      temperature: 0.25,
      messages: [{ role: 'user', content: 'x' }],
    })
    return (await fetch(`${url}/v1/messages`, { method: 'POST', headers, body })).text()
  }
  // The collector is away; one request is of a caller that sampled its trace out.
  for (let count = 0; count < 5; count++) await ask(first.url)
  await ask(first.url, `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`)
  await new Promise((resolve) => setTimeout(resolve, 500))
  await first.stop('SIGKILL')
  const collector = await startProgram({
    tool: 'otelcol',
    args: ['--config', join(root, 'test/stack/store.yaml')],
    env: { STORE_GRPC: at.grpc, STORE_HTTP: at.http, STORE_HEALTH: at.health },
    folder,
    readyUrl: `http://${at.health}/`,
  })
  onTestFinished(() => collector.stop())
  const second = await startProduct(options)
  onTestFinished(async () => void (await second.stop('SIGKILL')))
  await ask(second.url)
  const spans = () => recordsOf(join(folder, 'traces.jsonl'))
  await expect.poll(() => spans().length).toBe(6)
  const logs = () => recordsOf(join(folder, 'logs.jsonl'))
  await expect.poll(() => logs().length).toBe(7)
  expect(await second.stop()).toBe(0)
  expect(logs().map(({ name, resource }) => [name, resource['service.name']])).toEqual(
    Array.from({ length: 7 }, () => ['Request logged', 'edge-gateway']),
  )
  expect(
    spans().map(({ resource, attributes }) => [
      resource['service.name'],
      resource['deployment.environment.name'],
      attributes['gen_ai.request.temperature'],
    ]),
  ).toEqual(Array.from({ length: 6 }, () => ['edge-gateway', 'staging', 0.25]))
  expect(new Set(spans().map(({ spanId }) => spanId)).size).toBe(6)
  expect(spans().filter(({ traceId }) => traceId === 'a'.repeat(32))).toEqual([])
})
