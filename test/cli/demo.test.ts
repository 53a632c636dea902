/** `tokenweir demo` as somebody runs it: within half a minute there is something to see, and Ctrl-C ends it with everything accounted for. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { cleanEnvironment } from '../e2e/product.ts'
import { runOn } from './terminal.ts'

const root = resolve(import.meta.dirname, '../..')

describe('demo', () => {
  it('shows traffic of many providers within 30 s, and ends cleanly at Ctrl-C', async () => {
    const child = spawn(process.execPath, [join(root, 'src/tokenweir.ts'), 'demo', '--seconds', '300'], { env: cleanEnvironment() })
    onTestFinished(() => void child.kill())
    const text = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (part: string) => (text[name] += part))
    const pageOf = () => /live page\s+(http:\S+)/.exec(text.stdout)?.[1]
    await expect.poll(pageOf, { timeout: 20_000 }).toBeDefined()
    const page = pageOf() as string
    expect((await fetch(page)).status).toBe(200)
    const metrics = async () => (await fetch(`${page}/metrics`)).text()
    const providers = async () =>
      new Set([...(await metrics()).matchAll(/^tokenweir_requests_total\{[^}]*gen_ai_provider_name="([^"]+)"/gm)].map(([, name]) => name))
    await expect.poll(async () => (await providers()).size, { timeout: 30_000 }).toBeGreaterThanOrEqual(6)
    await expect
      .poll(metrics, { timeout: 20_000 })
      .toMatch(/^tokenweir_streams_zero_usage_total\{[^}]*reason="upstream_omitted"[^}]*\} [1-9]/m)
    const folders = () => readdirSync(tmpdir()).filter((name) => name.startsWith('tokenweir-demo-'))
    const before = folders().length
    child.kill('SIGINT')
    const [code] = (await once(child, 'close')) as [number]
    expect({ code, stderr: text.stderr, end: text.stdout.trimEnd().split('\n').at(-1) }).toEqual({
      code: 0,
      stderr: '',
      end: 'Everything matches.',
    })
    expect(text.stdout).not.toContain('DIFFERENT')
    expect(folders().length).toBe(before - 1)
    await expect(fetch(page)).rejects.toThrow('fetch failed')
  }, 90_000)

  it.each([
    [['--seconds', '0'], '--seconds "0" is no number up to 3600.'],
    [['now'], '"now" is one argument too many.'],
  ])('refuses wrong arguments: %s', async (args, sentence) => {
    const { code, stderr } = await runOn({ columns: 80, colour: false }, ['demo', ...args])
    expect([code, stderr]).toEqual([2, `tokenweir: ${sentence} See tokenweir --help.\n`])
  })
})
