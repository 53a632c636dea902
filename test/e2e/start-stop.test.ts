import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type SampleGateway, startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { at, parseJson } from '../../src/lib/json.ts'
import { freePort } from '../ports.ts'
import { cleanEnvironment, type Product, type ProductOptions, startProduct } from './product.ts'

const root = resolve(import.meta.dirname, '../..')
const program = join(root, 'src/tokenweir.ts')
/** Code that makes this Node call itself 18.0.0, before the launcher looks. */
const pretendOld = `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'18.0.0'}})`

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

  it.each([
    ['as it is', undefined],
    ['started by the launcher on an older Node', ['--import', pretendOld, join(root, 'bin/tokenweir.js')]],
  ])('reads its settings again at SIGHUP, says so in one line, and cuts no stream: %s', async (_how, program) => {
    const running = await start(20, program === undefined ? {} : { program })
    const response = await fetch(`${running.url}/v1/messages`, streamedRequest)
    process.kill(running.pid, 'SIGHUP')
    expect(await response.text()).toContain('event: message_stop')
    await expect.poll(() => running.stderr()).toContain('read again')
    expect(await running.stop()).toBe(0)
    expect(running.stderr().match(/.*read again.*/g)).toEqual(['tokenweir: The settings were read again; nothing has changed.'])
    expect(logLines(running).map((line) => at(line, 'end_reason'))).toEqual(['completed'])
  })

  it('is ready while its ledger cannot be written, says so, and ends with 1 when rows are lost', async () => {
    const running = await start(0)
    const lock = new DatabaseSync(running.ledger)
    lock.exec('BEGIN IMMEDIATE')
    await (await fetch(`${running.url}/v1/messages`, streamedRequest)).text()
    const ready = async () => {
      const response = await fetch(`${running.adminUrl}/readyz`)
      const body = parseJson(await response.text())
      return [response.status, at(body, 'ready'), at(at(body, 'records'), 'problems')]
    }
    await expect.poll(ready).toEqual([200, true, ['The ledger ledger.db cannot be written: database is locked. 1 rows wait in memory.']])
    expect(await running.stop()).toBe(1)
    lock.close()
    expect(running.stderr()).toContain('could not be written: 1 rows are lost.\n')
  })

  it('goes on in a new ledger when its own is removed, and ends with 1 because rows are lost', async () => {
    const ledger = join(folder, 'ledger.db')
    const running = await start(0, { ledger })
    const ask = async () => (await fetch(`${running.url}/v1/messages`, streamedRequest)).text()
    await ask()
    await running.closedRows(1)
    rmSync(ledger)
    await expect.poll(() => running.stderr()).toContain('A new one is begun.')
    await ask()
    await expect.poll(() => existsSync(ledger) && running.ledgerRows().length).toBe(1)
    expect(await running.stop()).toBe(1)
    expect(running.stderr()).toMatch(/ was removed while it was in use; the 1 rows of this run in it are lost\. A new one is begun\./)
    const kept = new DatabaseSync(ledger, { readOnly: true })
    expect(kept.prepare('SELECT count(*) AS count FROM exchanges').get()).toEqual({ count: 1 })
    kept.close()
  })

  it('keeps what it has just learnt of its upstream for the next start', async () => {
    const ledger = join(folder, 'ledger.db')
    const running = await start(0, { ledger, capture: 'inject' })
    const body = JSON.stringify({ model: 'gpt-5.2', stream: true, messages: [{ role: 'user', content: 'How much?' }] })
    await (
      await fetch(`${running.url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    ).text()
    expect(await running.stop()).toBe(0)
    const learnt = parseJson(readFileSync(`${ledger}.upstreams.json`, 'utf8'))
    expect(at(learnt, 'places')).toHaveLength(1)
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
    const holder = process.platform === 'linux' ? ` by [^\\n]* \\(process ${process.pid}\\)` : ''
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
      stderr: expect.stringMatching(
        new RegExp(`^tokenweir: The \\w+ port 127\\.0\\.0\\.1:${port} is in use${holder}\\. Stop [^\\n]+ with ${flag} HOST:PORT\\.\\n$`),
      ),
    })
  })

  it.each<readonly [string, (name: string) => void, RegExp]>([
    ['plain/ledger.db', () => writeFileSync(join(folder, 'plain'), 'a file, no folder'), /The ledger plain\/ledger\.db cannot be written/],
    [
      'notes.txt',
      (name) => writeFileSync(join(folder, name), 'notes'),
      /notes\.txt is no SQLite file, no ledger of tokenweir, and was left/,
    ],
    ['place', (name) => mkdirSync(join(folder, name)), /place is a directory, no ledger of tokenweir/],
    ['/proc/x/ledger.db', () => undefined, /The ledger \/proc\/x\/ledger\.db cannot be written/],
  ])('refuses the ledger %s with one sentence and exit code 1, and makes nothing', (name, make, sentence) => {
    make(name)
    const before = readdirSync(folder)
    const args = [program, '--upstream', 'http://127.0.0.1:9', '--listen', '0', '--admin', '0', '--ledger', name]
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: folder,
      env: cleanEnvironment(),
      encoding: 'utf8',
      timeout: 60_000,
    })
    expect({ status, stdout, stderr, left: readdirSync(folder).filter((file) => !file.endsWith('.salt')) }).toEqual({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(sentence),
      left: before,
    })
    expect(stderr.split('\n').length).toBe(2)
  })
})
