/** The single-file program, alone in an empty folder and without a Node on its PATH: all of it works as from the sources. */
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { pageFiles } from '../../src/admin/files.ts'
import { cleanEnvironment, startProduct } from '../e2e/product.ts'
import { startCollector } from '../telemetry/collector.ts'

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'tokenweir-single-test-'))
const program = join(folder, 'tokenweir')
const env = { ...cleanEnvironment(), PATH: '/nowhere' }
const isHere = process.platform === 'linux' && process.arch === 'x64'

function run(file: string, args: readonly string[], input = '') {
  const { status, stdout, stderr } = spawnSync(file, args, { cwd: folder, env, input, encoding: 'utf8', timeout: 170_000 })
  return { status, stdout, stderr }
}

/** As the sources do it. */
const ofSources = (args: readonly string[], input = '') => run(process.execPath, [join(root, 'src/tokenweir.ts'), ...args], input)

describe.skipIf(!isHere)('the single-file program', () => {
  beforeAll(() => {
    execFileSync(process.execPath, [join(root, 'scripts/single/build.ts')], { cwd: root, stdio: 'pipe' })
    copyFileSync(join(root, 'dist/tokenweir-linux-x64'), program)
    process.stderr.write(`single-file program: ${(statSync(program).size / 1e6).toFixed(1)} MB\n`)
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it.each([
    ['--help', ['--help']],
    ['--version', ['--version']],
    ['report --help', ['report', '--help']],
    ['check', ['check', '--upstream', 'http://127.0.0.1:1']],
    ['prices', ['prices', 'gpt-4o']],
    ['a command that is none', ['none']],
    ['a ledger that is not there', ['report', '--ledger', 'none.db']],
    ['reconcile', ['reconcile', '--spans', 'none.jsonl', '--ledger', 'none.db']],
  ])('says what the sources say: %s', (_what, args) => {
    expect(run(program, args)).toEqual(ofSources(args))
  })

  it('has the licences of what is inside', () => {
    const text = readFileSync(join(root, 'dist/tokenweir-linux-x64.licenses.txt'), 'utf8')
    const names = [...text.matchAll(/^==== (.+)$/gm)].map(([, name]) => name)
    expect(names).toEqual(expect.arrayContaining(['tokenweir', 'undici', '@grpc/grpc-js', '@opentelemetry/sdk-node', 'uplot', 'valibot']))
    expect(text).toContain('Node.js is licensed for use as follows')
  })

  it('reads a recording', () => {
    const body = { id: 'a', object: 'chat.completion', choices: [], usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 } }
    const response = { status: 200, headers: { 'content-type': 'application/json' }, body }
    const recording = JSON.stringify({ request: { path: '/v1/chat/completions', body: { model: 'gpt-4o' } }, response })
    const { status, stdout } = run(program, ['replay', '-', '--json'], recording)
    expect([status, JSON.parse(stdout).response.usage]).toEqual([0, { inputTokens: 3, outputTokens: 4, totalTokens: 7 }])
  })

  it('writes the stack, the same files', () => {
    const written = ['single', 'sources'].map((name) => {
      expect((name === 'single' ? run(program, ['init', name]) : ofSources(['init', name])).status).toBe(0)
      const files = readdirSync(join(folder, name), { recursive: true, encoding: 'utf8' }).filter((path) => path !== '.env')
      return files
        .sort()
        .map((path) => [path, statSync(join(folder, name, path)).isFile() && readFileSync(join(folder, name, path), 'utf8')])
    })
    expect(written[0]).toEqual(written[1])
    expect(written[0]?.length).toBeGreaterThan(20)
  })

  it('examines its surroundings', () => {
    const { status, stdout } = run(program, ['doctor', '--json', '--upstream', 'http://127.0.0.1:1', '--timeout', '20'])
    expect([status, JSON.parse(stdout).about.tokenweir]).toEqual([1, JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version])
  })

  it('shows the demo', () => {
    const { status, stdout, stderr } = run(program, ['demo', '--seconds', '1'])
    expect({ status, stderr, end: stdout.trimEnd().split('\n').at(-1) }).toEqual({ status: 0, stderr: '', end: 'Everything matches.' })
  })

  it('records requests, shows its page, reads its settings again, and exports', async () => {
    const gateway = await startSampleGateway()
    onTestFinished(() => gateway.close())
    const collector = await startCollector(() => ({ status: 200, body: '', contentType: 'application/x-protobuf' }))
    const logs = await startGrpc()
    const config = join(folder, 'tokenweir.yaml')
    const settings = (names: string) => `upstream: ${gateway.url}\nestimates: { enabled: true }\ncaller: header:x-who\n${names}`
    writeFileSync(config, settings(''))
    const running = await startProduct({
      executable: program,
      args: ['--config', config],
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: logs.url,
        OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'grpc',
        OTEL_BSP_SCHEDULE_DELAY: '50',
      },
    })
    onTestFinished(async () => void (await running.stop('SIGKILL')))
    const ask = async (model: string) => {
      const messages = [{ role: 'user', content: 'How much water went through the gate?' }]
      const body = JSON.stringify({ model, stream: true, stream_options: { include_usage: true }, messages })
      await (await fetch(`${running.url}/v1/chat/completions`, { method: 'POST', headers: { 'x-who': 'k1' }, body })).text()
    }
    await ask('gpt-4o')
    writeFileSync(config, settings('callerNames: { k1: alice }\n'))
    const reloaded = await fetch(`${running.adminUrl}/api/reload`, { method: 'POST' })
    expect(await reloaded.json()).toMatchObject({ result: 'applied', changed: ['callerNames'] })
    await ask('silent-1')

    const usage = gateway.sent[0]?.usage
    const [first, second] = await running.closedRows(2)
    expect(first).toMatchObject({ input_tokens: usage?.inputTokens, output_tokens: usage?.outputTokens, cost_status: 'priced' })
    expect(second).toMatchObject({ caller: 'alice', input_tokens: null, usage_outcome: 'missing' })
    expect([second?.['estimated_input_tokens'], second?.['estimated_output_tokens']]).toEqual([expect.any(Number), expect.any(Number)])

    await expect.poll(() => collector.received.some(({ path }) => path === '/v1/traces')).toBe(true)
    await expect.poll(() => logs.calls).toContain('/opentelemetry.proto.collector.logs.v1.LogsService/Export')

    const get = async (path: string) => Buffer.from(await (await fetch(running.adminUrl + path)).arrayBuffer())
    for (const name of pageFiles)
      expect([name, await get(`/page/${name}`)]).toEqual([name, readFileSync(join(root, 'src/admin/page', name))])
    expect(await get('/page/uplot.js')).toEqual(readFileSync(join(root, 'node_modules/uplot/dist/uPlot.esm.js')))
    expect((await get('/')).toString()).toContain('<title>')
    expect((await get('/docs/ledger.md')).toString()).toContain('<h1')
    expect(JSON.parse((await get('/api/summary?by=model')).toString())).toMatchObject({ total: { requests: 2 } })

    const report = run(program, ['report', '--by', 'model', '--format', 'csv', '--ledger', running.ledger])
    expect(report.stdout).toMatch(/^gpt-4o,/m)
    expect(await running.stop()).toBe(0)
    expect(
      running
        .stdout()
        .split('\n')
        .filter((line) => line.includes('"msg":"Streaming request logged"')),
    ).toHaveLength(2)
    expect(running.stderr()).not.toMatch(/error|warning/i)
  })
})

/** A collector for gRPC that takes everything. */
async function startGrpc() {
  const calls: (string | undefined)[] = []
  const server = http2.createServer()
  server.on('stream', (stream, headers) => {
    calls.push(headers[':path'])
    stream.resume()
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.end(Buffer.from([0, 0, 0, 0, 0]))
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  onTestFinished(() => void server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls }
}
