/** The page on extending is true: its code, put where it says, makes a provider, a format, a metric and a column that the running product has. */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { schemaVersion } from '../../src/ledger/migrations.ts'
import { cleanEnvironment, startProduct } from '../e2e/product.ts'

const root = resolve(import.meta.dirname, '../..')
/** Within the project, so that its packages are found. */
const copy = join(root, 'tmp', `extending-${process.pid}`)
const run = promisify(execFile)

interface Block {
  readonly kind: string
  readonly file: string
  readonly text: string
}

function blocksOf(page: string): readonly Block[] {
  const fences = page.matchAll(/^```(ts|diff) (\S+)\n([\s\S]*?)^```$/gm)
  return [...fences].map(([, kind = '', file = '', text = '']) => ({ kind, file, text }))
}

const blocks = blocksOf(readFileSync(join(root, 'docs/extending.md'), 'utf8'))

/** The lines of each hunk stand in the source once, one after another; those with a plus go between them. */
function patched(source: string, diff: string): string {
  return diff
    .trimEnd()
    .split(/^@@\n/m)
    .reduce((text, hunk) => {
      const lines = hunk.trimEnd().split('\n')
      const whole = (some: readonly string[]) => `\n${some.map((line) => line.slice(1)).join('\n')}\n`
      const before = whole(lines.filter((line) => !line.startsWith('+')))
      expect({ before, times: text.split(before).length - 1 }).toEqual({ before, times: 1 })
      return text.replace(before, () => whole(lines))
    }, source)
}

/** The page prints some number; the next one is another with each version. */
const numbered = (file: string, text: string) =>
  file.endsWith('migrations.ts') ? text.replace(/^\+ {2}\d+:/m, `+  ${schemaVersion}:`) : text

beforeAll(() => {
  const texts = [
    'README.md',
    'README.zh-CN.md',
    'ARCHITECTURE.md',
    'CHANGELOG.md',
    'bench/README.md',
    'deploy/README.md',
    'docs',
    'test/documents.test.ts',
  ]
  for (const name of ['src', 'scripts', 'examples', 'test/formats', 'test/observe', 'package.json', ...texts])
    cpSync(join(root, name), join(copy, name), { recursive: true })
  for (const { kind, file, text } of blocks) {
    const path = join(copy, file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, kind === 'diff' ? patched(readFileSync(path, 'utf8'), numbered(file, text)) : text)
  }
})
afterAll(() => rmSync(copy, { recursive: true, force: true }))

/** Runs a file of tests of the copy, with what the examples have added. */
async function runTests(file: string, name: string) {
  const report = join(copy, 'report.json')
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const args = [vitest, 'run', '--root', copy, '--config', join(root, 'vitest.config.ts'), '--reporter', 'json', '--outputFile', report]
  await run(process.execPath, [...args, file, '-t', name], { cwd: copy, env: cleanEnvironment() })
  const { success, testResults } = JSON.parse(readFileSync(report, 'utf8'))
  type Result = { readonly status: string; readonly ancestorTitles: readonly string[] }
  const passed = (testResults[0].assertionResults as readonly Result[]).filter(({ status }) => status === 'passed')
  return { success: success as boolean, passed }
}

it('the examples are small: these lines in these files', () => {
  const added = blocks.map(({ kind, file, text }) => [kind, file, text.match(/^\+/gm)?.length ?? 0])
  expect(added).toEqual([
    ['diff', 'src/conclude/providers/rules.ts', 3],
    ['ts', 'src/observe/formats/brook.ts', 0],
    ['diff', 'src/observe/formats/index.ts', 2],
    ['ts', 'test/formats/fixtures/brook.ts', 0],
    ['diff', 'test/formats/fixtures/index.ts', 2],
    ['diff', 'src/telemetry/catalog.ts', 6],
    ['diff', 'src/sinks/metrics/metrics.ts', 3],
    ['diff', 'src/ledger/columns.ts', 6],
    ['diff', 'src/ledger/migrations.ts', 1],
    ['diff', 'docs/ledger.md', 1],
  ])
})

it('have the types that they should', async () => {
  const include = blocks.map(({ file }) => file).filter((file) => file.endsWith('.ts'))
  writeFileSync(join(copy, 'tsconfig.json'), JSON.stringify({ extends: join(root, 'tsconfig.json'), include }))
  await run(join(root, 'node_modules/.bin/tsc'), ['-p', copy, '--noEmit'], { cwd: copy })
})

describe('the example of a format', () => {
  it('passes the conformance suite', async () => {
    const { success, passed } = await runTests('test/formats/conformance.test.ts', 'brook')
    const suites = new Set(passed.map(({ ancestorTitles }) => ancestorTitles[0]))
    expect({ success, suites: [...suites].sort() }).toEqual({ success: true, suites: ['brook', 'brook: pour body', 'brook: pour stream'] })
    expect(passed.length).toBeGreaterThan(20)
  })
})

describe('the examples of a metric and of a column', () => {
  it('are in the documents', async () => {
    await run(process.execPath, ['scripts/reference.ts'], { cwd: copy })
    const page = readFileSync(join(copy, 'docs/telemetry.md'), 'utf8')
    expect(page).toContain('Responses that ended because they reached their limit of tokens.')
    const { success, passed } = await runTests('test/documents.test.ts', 'the document of the ledger has each of its columns')
    expect({ success, passed: passed.length }).toEqual({ success: true, passed: 1 })
  })
})

/** Answers as Brook does, or as OpenAI with an answer that was cut off. */
async function startUpstream(): Promise<string> {
  const pour = [
    { pour: 'pour-1', model: 'rill-1', drop: 'Hello' },
    { pour: 'pour-1', reason: 'dry', tokens: { fresh: 5, cached: 7, out: 3 } },
  ]
  const usage = { prompt_tokens: 5, completion_tokens: 50, total_tokens: 55 }
  const chat = { id: 'a', object: 'chat.completion', model: 'rill-1', choices: [{ index: 0, finish_reason: 'length' }], usage }
  const server = createServer((request, response) => {
    const isPour = request.url === '/brook/v1/pour'
    response.setHeader('content-type', isPour ? 'text/event-stream' : 'application/json')
    request
      .resume()
      .on('end', () => response.end(isPour ? pour.map((one) => `data: ${JSON.stringify(one)}\n\n`).join('') : JSON.stringify(chat)))
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

it('the running product has the provider, the format, the metric and the column, also in a ledger of the version before', async () => {
  const ledger = join(copy, 'ledger.db')
  const old = new DatabaseSync(ledger)
  old.exec(readFileSync(join(root, `test/store/version-${schemaVersion - 1}.sql`), 'utf8'))
  const before = old.prepare('SELECT count(*) AS rows FROM exchanges').get()?.['rows'] as number
  old.close()
  const product = await startProduct({ upstream: await startUpstream(), ledger, program: [join(copy, 'src/tokenweir.ts')] })
  onTestFinished(async () => void (await product.stop('SIGKILL')))
  const post = async (path: string, body: object) =>
    (
      await fetch(`${product.url}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    ).text()
  await post('/brook/v1/pour', { model: 'rill-1', stream: true, limit: 70 })
  await post('/v1/chat/completions', { model: 'brook/rill-1', max_tokens: 50, messages: [] })

  await product.closedRows(before + 2)
  const database = new DatabaseSync(ledger, { readOnly: true })
  onTestFinished(() => database.close())
  const wanted = 'provider, format, input_tokens, output_tokens, cache_read_tokens, max_tokens'
  expect(database.prepare(`SELECT ${wanted} FROM exchanges ORDER BY rowid LIMIT 9 OFFSET ?`).all(before)).toEqual([
    { provider: 'brook', format: 'brook', input_tokens: 12, output_tokens: 3, cache_read_tokens: 7, max_tokens: 70 },
    { provider: 'brook', format: 'openai-chat', input_tokens: 5, output_tokens: 50, cache_read_tokens: null, max_tokens: 50 },
  ])
  expect(database.prepare('SELECT count(max_tokens) AS rows FROM exchanges').get()).toEqual({ rows: 2 })
  const metrics = async () => (await fetch(`${product.adminUrl}/metrics`)).text()
  await expect.poll(metrics).toContain('tokenweir_responses_truncated_total{gen_ai_provider_name="brook",http_route="default"} 1\n')
  expect(await product.stop()).toBe(0)
})
