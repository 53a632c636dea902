/** `tokenweir verify` in front of the real gateways, with the files of `examples/`: everything is recorded, and the collector has the spans. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type SampleGateway, startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { cleanEnvironment, type Product, startProduct } from '../e2e/product.ts'
import { startCollector } from '../telemetry/collector.ts'
import { runLitellm, startFastapi, startPortkey } from './gateways.ts'
import { isInstalled } from './places.ts'

const root = resolve(import.meta.dirname, '../..')

interface Target {
  readonly url: string
  /** Further arguments of verify: what the gateway wants to be told. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  stop(): Promise<void>
}

const targets: readonly { name: string; installed: boolean; apis: readonly string[]; start(provider: string): Promise<Target> }[] = [
  {
    name: 'LiteLLM',
    installed: isInstalled.litellm(),
    apis: ['chat'],
    async start(provider) {
      const env = { OPENAI_BASE: `${provider}/v1`, ANTHROPIC_BASE: provider, OPENAI_API_KEY: 'test', ANTHROPIC_API_KEY: 'test' }
      const gateway = await runLitellm(resolve(root, 'examples/litellm/config.yaml'), env)
      return { ...gateway, args: ['--model', 'gpt-4o', '--key-env', 'GATEWAY_KEY'], env: { GATEWAY_KEY: gateway.key } }
    },
  },
  {
    name: 'Portkey',
    installed: isInstalled.portkey(),
    apis: ['chat', 'responses'],
    async start(provider) {
      const gateway = await startPortkey({ provider, sidecar: provider })
      const headers = Object.entries(gateway.headersFor('openai', 'provider')).flatMap(([name, value]) => ['--header', `${name}: ${value}`])
      return { ...gateway, args: ['--model', 'gpt-4o', '--key-env', 'GATEWAY_KEY', ...headers], env: { GATEWAY_KEY: 'test' } }
    },
  },
  {
    name: 'the FastAPI gateway',
    installed: isInstalled.fastapi(),
    apis: ['chat'],
    async start(provider) {
      const gateway = await startFastapi(provider)
      const stop = async () => {
        await gateway.stop()
        gateway.remove()
      }
      return { url: gateway.url, args: ['--model', 'gpt-4o'], env: {}, stop }
    },
  },
]

async function verify(product: Product, args: readonly string[], env: Readonly<Record<string, string>>) {
  const places = ['--sidecar', product.url, '--admin', product.adminUrl, '--ledger', product.ledger]
  const command = [resolve(root, 'src/tokenweir.ts'), 'verify', ...places, '--json', ...args]
  const child = spawn(process.execPath, command, { env: { ...cleanEnvironment(), ...env } })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => (said += part))
  const [code] = (await once(child, 'close')) as [number]
  return { code, checks: (JSON.parse(said) as { checks: { name: string; status: string; what: string }[] }).checks }
}

for (const { name, installed, apis, start } of targets) {
  describe.skipIf(!installed)(name, () => {
    let provider: SampleGateway
    let gateway: Target
    beforeAll(async () => {
      provider = await startSampleGateway()
      gateway = await start(provider.url)
    }, 240_000)
    afterAll(async () => {
      await gateway?.stop()
      await provider?.close()
    })

    it.each(apis)('passes tokenweir verify: %s', async (api) => {
      const collector = await startCollector()
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_BSP_SCHEDULE_DELAY: '50' }
      const product = await startProduct({ upstream: gateway.url, env })
      onTestFinished(async () => void (await product.stop('SIGKILL')))
      const { code, checks } = await verify(product, ['--api', api, ...gateway.args], gateway.env)
      expect({ code, failed: checks.filter(({ status, name }) => status !== 'ok' && name !== 'clients') }).toEqual({ code: 0, failed: [] })
    })
  })
}
