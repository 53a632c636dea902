/**
 * The recipes of `docs/recipes.md` that put the sidecar behind a gateway, as they stand there: one sidecar with a route per provider, and the gateway's own
 * configuration. Only addresses and ports are replaced.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type SampleGateway, startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { type Product, startProduct } from '../e2e/product.ts'
import { runLitellm, startPortkey } from './gateways.ts'
import { isInstalled } from './places.ts'

const page = readFileSync(resolve(import.meta.dirname, '../../docs/recipes.md'), 'utf8')
const messages = [{ role: 'user' as const, content: 'How much water went through the gate?' }]

/** The block that begins with this comment. */
function block(comment: string): string {
  const found = [...page.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].find(([, text]) => text?.startsWith(`# ${comment}`))
  if (found === undefined) throw new Error(`docs/recipes.md has no block "# ${comment}"`)
  return found[1] as string
}

function write(name: string, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-recipe-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

async function startBehind(): Promise<{ provider: SampleGateway; product: Product }> {
  const provider = await startSampleGateway()
  onTestFinished(() => provider.close())
  const config = block('behind.yaml').replace(/https:\/\/api\.\w+\.com/g, provider.url)
  // The addresses and the ledger of the tests come by variables, which win over the file.
  const product = await startProduct({ args: ['--config', write('behind.yaml', config)] })
  onTestFinished(async () => void (await product.stop()))
  return { provider, product }
}

/** What the rows have is what the provider sent; a list of models, which LiteLLM asks for at its start, has no usage. */
async function expectRows({ provider, product }: { provider: SampleGateway; product: Product }, of: readonly string[]) {
  const recorded = () => product.ledgerRows().filter((row) => row['usage_outcome'] === 'reported')
  await expect.poll(() => recorded().length, { timeout: 60_000 }).toBe(of.length)
  const sent = provider.sent.flatMap(({ usage }) => usage ?? [])
  expect(recorded().map((row) => [row['provider'], row['input_tokens'], row['output_tokens']])).toEqual(
    sent.map((usage, at) => [of[at], usage.inputTokens, usage.outputTokens]),
  )
}

describe('the sidecar behind', () => {
  it.skipIf(!isInstalled.litellm())(
    'LiteLLM, by its configuration of the recipe',
    async () => {
      const behind = await startBehind()
      const config = block('config.yaml of LiteLLM').replaceAll('http://127.0.0.1:4241', behind.product.url)
      const gateway = await runLitellm(write('config.yaml', config), { OPENAI_API_KEY: 'made-up', ANTHROPIC_API_KEY: 'made-up' })
      onTestFinished(gateway.stop)
      const openai = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.key, maxRetries: 0 })
      await openai.chat.completions.create({ model: 'gpt-4o', messages })
      const anthropic = new Anthropic({ baseURL: gateway.url, apiKey: gateway.key, maxRetries: 0 })
      await anthropic.messages.create({ model: 'claude', max_tokens: 100, messages })
      await expectRows(behind, ['openai', 'anthropic'])
    },
    240_000,
  )

  it.skipIf(!isInstalled.portkey())(
    'Portkey, by the header of the recipe',
    async () => {
      const behind = await startBehind()
      const [, host] = /`x-portkey-custom-host: http:\/\/127\.0\.0\.1:4241(\S+)`/.exec(page) ?? []
      const gateway = await startPortkey({ provider: behind.product.url, sidecar: behind.product.url })
      onTestFinished(gateway.stop)
      const defaultHeaders = { 'x-portkey-provider': 'openai', 'x-portkey-custom-host': `${behind.product.url}${host}` }
      const openai = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'made-up', maxRetries: 0, defaultHeaders })
      await openai.chat.completions.create({ model: 'gpt-4o', messages })
      await expectRows(behind, ['openai'])
    },
    240_000,
  )
})
