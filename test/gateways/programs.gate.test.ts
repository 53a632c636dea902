/**
 * Real clients, set up as `docs/recipes/clients.md` says, with tokenweir between them and the sample gateway: the answer arrives, the ledger has one
 * row for each request with the counts that the gateway sent, and what the client says that it used is what the ledger has.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type SampleGateway, type Sent, startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { type LedgerRow, type Product, startProduct } from '../e2e/product.ts'
import { runClient } from './gateways.ts'
import { isInstalled, programsFolder, programsList, programsPython } from './places.ts'

interface Told {
  readonly text: string
  /** What the client says that it used; `undefined` when it says nothing. */
  readonly tokens?: number
}

interface Client {
  readonly name: string
  readonly command: string
  args(url: string): readonly string[]
  env?(url: string): Readonly<Record<string, string>>
  /** Files in the home folder, which is the working folder too. */
  files?(url: string): Readonly<Record<string, unknown>>
  told(said: string): Told
  /** What the row must have for `tokens`; input and output together when not given. */
  readonly tokensOf?: (row: LedgerRow) => number
}

/** OpenCode chooses a provider by the keys that it finds: it would go to the provider itself. */
const noKeys = { OPENAI_API_KEY: '', ANTHROPIC_API_KEY: '', GEMINI_API_KEY: '' }
const modules = join(programsFolder, 'node_modules')
const prompt = 'How much water went through the gate?'
const count = (row: LedgerRow, column: string) => Number(row[column] ?? 0)
const inputAndOutput = (row: LedgerRow) => count(row, 'input_tokens') + count(row, 'output_tokens')

const agents: readonly Client[] = [
  {
    name: 'Codex CLI',
    command: process.execPath,
    args: (url) => [
      join(modules, '@openai/codex/bin/codex.js'),
      ...['exec', '--skip-git-repo-check', '--sandbox', 'read-only', '--model', 'gpt-5', '-c', 'model_provider="tokenweir"'],
      ...['-c', `model_providers.tokenweir={name="tokenweir",base_url="${url}/v1",env_key="OPENAI_API_KEY",wire_api="responses"}`],
      ...['-c', 'analytics.enabled=false', '-c', 'check_for_update_on_startup=false', prompt],
    ],
    told(said) {
      const [, text = '', tokens = ''] = /\ncodex\n(.*)\ntokens used\n([\d,]+)/.exec(said) ?? []
      return { text, tokens: Number(tokens.replaceAll(',', '')) }
    },
    // Codex does not count what came from the cache.
    tokensOf: (row) => inputAndOutput(row) - count(row, 'cache_read_tokens'),
  },
  {
    name: 'Gemini CLI',
    command: process.execPath,
    args: () => [
      join(modules, '@google/gemini-cli/bundle/gemini.js'),
      ...['--skip-trust', '--model', 'gemini-2.5-flash', '--output-format', 'json', '--prompt', prompt],
    ],
    env: (url) => ({ GOOGLE_GEMINI_BASE_URL: url }),
    files: () => ({
      '.gemini/settings.json': {
        security: { auth: { selectedType: 'gemini-api-key' } },
        privacy: { usageStatisticsEnabled: false },
        general: { enableAutoUpdate: false },
      },
    }),
    told(said) {
      const { response, stats } = JSON.parse(said.slice(said.indexOf('{'), said.lastIndexOf('}') + 1))
      return { text: response, tokens: stats.models['gemini-2.5-flash'].tokens.total }
    },
  },
  {
    name: 'OpenCode',
    command: join(modules, `opencode-${process.platform}-${process.arch}/bin/opencode`),
    args: () => ['run', '--title', 'water', prompt],
    env: () => ({ ...noKeys, OPENCODE_DISABLE_AUTOUPDATE: '1', OPENCODE_DISABLE_MODELS_FETCH: '1', OPENCODE_DISABLE_LSP_DOWNLOAD: '1' }),
    files: (url) => ({
      'opencode.json': {
        model: 'tokenweir/gpt-4o',
        enabled_providers: ['tokenweir'],
        provider: {
          tokenweir: {
            npm: '@ai-sdk/openai-compatible',
            options: { baseURL: `${url}/v1`, apiKey: 'made-up' },
            models: { 'gpt-4o': {} },
          },
        },
      },
    }),
    told: (said) => ({ text: said.split('\n').find((line) => / .* .* .* /.test(line) && !line.includes('>')) ?? '' }),
  },
  {
    name: 'Claude Code',
    command: join(modules, `@anthropic-ai/claude-code-${process.platform}-${process.arch}/claude`),
    args: () => ['--print', prompt, '--model', 'claude-sonnet-5-5', '--output-format', 'json'],
    env: (url) => ({ ANTHROPIC_BASE_URL: url, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', DISABLE_AUTOUPDATER: '1' }),
    told(said) {
      const { result, usage } = JSON.parse(said.split('\n').find((line) => line.startsWith('{')) ?? '{}')
      const cached = usage.cache_read_input_tokens + usage.cache_creation_input_tokens
      return { text: result, tokens: usage.input_tokens + cached + usage.output_tokens }
    },
  },
]

/** A library tells in one line of JSON. */
function toldByLibrary(said: string): Told {
  const { text, input, output } = JSON.parse(said.split('\n').find((line) => line.startsWith('{')) ?? '{}')
  return { text, tokens: input + output }
}

const libraries: readonly Client[] = [
  ['Vercel AI SDK, chat streamed', 'ai-chat'],
  ['Vercel AI SDK, responses', 'ai-responses'],
  ['LangChain for JavaScript', 'langchain'],
].map(([name = '', library = '']) => ({
  name,
  command: process.execPath,
  args: () => ['--input-type=module', '--eval', readFileSync(join(programsList, 'sdks.mjs'), 'utf8')],
  env: (WEIR) => ({ WEIR, LIBRARY: library }),
  told: toldByLibrary,
}))

const pythonLibraries: readonly Client[] = [
  ['OpenAI for Python, chat', 'openai_chat'],
  ['OpenAI for Python, responses streamed', 'openai_responses'],
  ['Anthropic for Python, streamed', 'anthropic'],
  ['Google Gen AI for Python', 'google'],
  ['LangChain for Python, OpenAI streamed', 'langchain_openai'],
  ['LangChain for Python, Anthropic', 'langchain_anthropic'],
  ['LlamaIndex for Python', 'llama_index'],
].map(([name = '', library = '']) => ({
  name,
  command: join(programsPython.folder, 'bin/python'),
  args: () => [join(programsList, 'sdks.py'), library],
  env: (WEIR) => ({ WEIR, PYTHONDONTWRITEBYTECODE: '1', LANGSMITH_TRACING: 'false' }),
  told: toldByLibrary,
}))

const sent = ({ usage }: Sent) => [usage?.inputTokens, usage?.outputTokens, usage?.cacheReadTokens].map((tokens) => tokens ?? null)
const recorded = (row: LedgerRow) => [row['input_tokens'], row['output_tokens'], row['cache_read_tokens']]
const sorted = (lists: readonly unknown[]) => lists.map((list) => JSON.stringify(list)).sort()

describe('clients', () => {
  let provider: SampleGateway
  let product: Product
  beforeAll(async () => {
    provider = await startSampleGateway()
    product = await startProduct({ upstream: provider.url })
  }, 120_000)
  afterAll(async () => {
    await product?.stop()
    await provider?.close()
  })

  const check = async (client: Client, inFolder?: string) => {
    const home = mkdtempSync(join(tmpdir(), 'tokenweir-client-'))
    onTestFinished(() => rmSync(home, { recursive: true, force: true }))
    for (const [name, content] of Object.entries(client.files?.(product.url) ?? {})) {
      mkdirSync(join(home, name, '..'), { recursive: true })
      writeFileSync(join(home, name), JSON.stringify(content))
    }
    const [rowsBefore, sentBefore] = [product.ledgerRows().length, provider.sent.length]
    const keys = { OPENAI_API_KEY: 'made-up', ANTHROPIC_API_KEY: 'made-up', GEMINI_API_KEY: 'made-up' }
    const env = { HOME: home, CODEX_HOME: home, XDG_CONFIG_HOME: join(home, '.config'), ...keys, ...client.env?.(product.url) }
    const { text, tokens } = client.told(await runClient(client.command, client.args(product.url), inFolder ?? home, env))

    const answers = provider.sent.slice(sentBefore)
    const rows = (await product.closedRows(rowsBefore + answers.length)).slice(rowsBefore)
    expect(answers.length).toBeGreaterThan(0)
    expect(sorted(rows.map(recorded))).toEqual(sorted(answers.map(sent)))
    const told = rows.filter((row) => row['usage_outcome'] === 'reported')
    expect(told).not.toEqual([])
    if (tokens !== undefined) expect(tokens).toBe(told.map(client.tokensOf ?? inputAndOutput).reduce((sum, one) => sum + one))

    // The same request has the same answer: every word that the client shows is in it.
    const last = answers.findLast(({ usage }) => usage !== undefined) as Sent
    const query = last.path.includes(':stream') ? '?alt=sse' : ''
    const again = await fetch(`${provider.url}${last.path}${query}`, { method: 'POST', body: last.requestBody })
    const answer = await again.text()
    const words = text.split(/\s+/).filter(Boolean)
    expect(words.length).toBeGreaterThan(2)
    expect(words.filter((word) => !answer.includes(word))).toEqual([])
  }

  describe.skipIf(!isInstalled.programs())('of npm', () => {
    it.each(agents)('$name', (client) => check(client), 240_000)
    it.each(libraries)('$name', (client) => check(client, programsFolder), 240_000)
  })
  describe.skipIf(!isInstalled['programs-python']())('of PyPI', () => {
    it.each(pythonLibraries)('$name', (client) => check(client), 240_000)
  })
})
