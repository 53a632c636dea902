import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type SampleGateway, startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { at, parseJson } from '../../src/lib/json.ts'
import { freePort } from '../ports.ts'
import { cleanEnvironment, type Product, type ProductOptions, startProduct } from './product.ts'

const program = resolve(import.meta.dirname, '../../src/tokenweir.ts')

let folder: string
let product: Product | undefined
let gateway: SampleGateway | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tokenweir-test-'))
})
afterEach(async () => {
  await product?.stop('SIGKILL')
  await gateway?.close()
  product = undefined
  gateway = undefined
  rmSync(folder, { recursive: true })
})

async function start(eventMs: number, options: ProductOptions = {}): Promise<Product> {
  gateway = await startSampleGateway({ eventMs })
  product = await startProduct({ upstream: gateway.url, ...options })
  return product
}

/** A grace that no test waits for. */
function patient(): ProductOptions {
  const file = join(folder, 'patient.yaml')
  writeFileSync(file, 'timeouts: { graceMs: 600000 }\n')
  return { env: { TOKENWEIR_CONFIG: file } }
}

const streamedRequest = {
  method: 'POST',
  body: JSON.stringify({ model: 'claude-sonnet-5-5', max_tokens: 20, stream: true, messages: [{ role: 'user', content: 'How much?' }] }),
}

/** The request log, one object per line. */
const logLines = ({ stdout }: Product) =>
  stdout()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => parseJson(line))

describe('the running product', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('lets an open stream finish at %s, records it and exits 0', async (signal) => {
    const running = await start(20)
    const response = await fetch(`${running.url}/v1/messages`, streamedRequest)
    const stopped = running.stop(signal)
    expect(await response.text()).toContain('event: message_stop')
    expect(await stopped).toBe(0)
    const lines = logLines(running)
    expect(lines.map((line) => [at(line, 'msg'), at(line, 'end_reason'), at(line, 'output_tokens')])).toEqual([
      ['Streaming request logged', 'completed', gateway?.sent[0]?.usage?.outputTokens],
    ])
  })

  it('cuts an open stream at a second signal, records it and exits 0', async () => {
    const running = await start(60_000, patient())
    const response = await fetch(`${running.url}/v1/messages`, streamedRequest)
    const text = response.text().catch(() => 'cut')
    process.kill(running.pid, 'SIGTERM')
    await expect.poll(async () => (await fetch(`${running.adminUrl}/readyz`)).status).toBe(503) // two signals in one go may arrive as one
    expect(await running.stop('SIGTERM')).toBe(0)
    expect(await text).toBe('cut')
    expect(logLines(running).map((line) => at(line, 'end_reason'))).toEqual(['sidecar-stopped'])
  })

  it('does not wait for connections that never asked anything', async () => {
    const running = await start(0, patient())
    const sockets = Array.from({ length: 3 }, () => connect(Number(new URL(running.url).port), '127.0.0.1').on('error', () => undefined))
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    await fetch(`${running.url}/v1/models`) // the sidecar has accepted what came before
    expect(await running.stop()).toBe(0) // `stop` does not wait as long as the grace is
  })

  it('takes its routes from a file', async () => {
    gateway = await startSampleGateway()
    const file = join(folder, 'tokenweir.yaml')
    writeFileSync(file, `routes: [{ name: own, prefix: /llm, stripPrefix: true, upstream: "${gateway.url}", provider: house }]\n`)
    product = await startProduct({ args: ['--config', file] })
    await fetch(`${product.url}/llm/v1/messages`, streamedRequest).then((response) => response.text())
    expect((await fetch(`${product.url}/v1/messages`, streamedRequest)).status).toBe(404)
    const rows = await product.closedRows(2)
    expect(rows.map((row) => [row['path'], row['route'], row['end_reason'], row['status']])).toEqual([
      ['/llm/v1/messages', 'own', 'completed', 200],
      ['/v1/messages', 'none', 'refused', 404],
    ])
    expect(rows[0]?.['provider']).toBe('house')
    expect(gateway.sent.map(({ path }) => path)).toEqual(['/v1/messages'])
  })

  it('goes on when nobody reads its stderr any more', async () => {
    const port = await freePort()
    const args = [program, '--upstream', 'http://127.0.0.1:9', '--listen', '0', '--admin', String(port)]
    const child = spawn(process.execPath, args, { cwd: folder, env: cleanEnvironment(), stdio: ['ignore', 'ignore', 'pipe'] })
    child.stderr.destroy()
    const exited = once(child, 'exit')
    const ready = () =>
      fetch(`http://127.0.0.1:${port}/readyz`).then(
        ({ status }) => status,
        () => undefined,
      )
    await expect.poll(ready).toBe(200)
    await new Promise((resolve) => setTimeout(resolve, 100)) // the welcome has been written by now, and its failure reported
    expect(await ready()).toBe(200)
    child.kill('SIGTERM')
    expect(await exited).toEqual([0, null])
  })

  it.each(['--listen', '--admin'])('refuses a %s port in use with one sentence and exit code 1', async (flag) => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const other = flag === '--listen' ? '--admin' : '--listen'
    const args = [program, '--upstream', 'http://127.0.0.1:9', flag, String(port), other, '0']
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: folder,
      env: cleanEnvironment(),
      encoding: 'utf8',
      timeout: 60_000,
    })
    server.close()
    expect({ status, stdout, stderr }).toEqual({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(new RegExp(`^tokenweir: [^\\n]*\\b${port}\\b[^\\n]*\\n$`)),
    })
  })

  it('refuses a ledger that cannot be written with one sentence and exit code 1', () => {
    writeFileSync(join(folder, 'plain'), 'a file, no folder')
    const args = [program, '--upstream', 'http://127.0.0.1:9', '--listen', '0', '--admin', '0', '--ledger', 'plain/ledger.db']
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: folder,
      env: cleanEnvironment(),
      encoding: 'utf8',
      timeout: 60_000,
    })
    expect({ status, stdout, stderr, left: readdirSync(folder) }).toEqual({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/^tokenweir: [^\n]*plain\/ledger\.db[^\n]*\n$/),
      left: ['plain'],
    })
  })
})
