/** `tokenweir demo` as somebody runs it: there is something to see, and Ctrl-C ends it with everything accounted for. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { painter } from '../../src/cli/commands/context.ts'
import { comparisonsText, totalsText } from '../../src/cli/commands/demo-text.ts'
import { cleanEnvironment } from '../e2e/product.ts'
import { runOn, terminals, visible } from './terminal.ts'

const root = resolve(import.meta.dirname, '../..')

const standing = {
  sent: 1234,
  recorded: 1230,
  totals: Array.from({ length: 10 }, (_, index) => ({
    ...{
      provider: index === 0 ? 'a.provider.with.a.name\u202e.that.is.far.too.long' : `provider_${index}`,
      requests: 10 ** index,
      streams: index,
    },
    ...{ input: 12_345_678 * index, output: 7, cost: 0.1234 * index, errors: index, withoutUsage: 1 },
  })),
  reasons: Array.from({ length: 7 }, (_, index) => ({ what: `missing (reason_${index})`, count: 7 - index })),
}
const comparisons = [
  { what: 'requests', recorded: 1234, sent: 1234 },
  { what: 'answers with their usage', recorded: 1, sent: 2 },
]

it.each(terminals)('the demo looks as it should: $name', async ({ name, columns, colour }) => {
  const paint = painter({ isTTY: colour }, {})
  const texts = [
    totalsText(standing, false, columns, paint),
    totalsText(standing, true, columns, paint),
    comparisonsText(comparisons, paint),
  ]
  if (columns !== undefined) expect((texts[0] ?? '').split('\n').length).toBeLessThanOrEqual(22)
  await expect(visible(texts.join('\n'))).toMatchFileSnapshot(`golden/demo-${name}.txt`)
})

describe('demo', () => {
  it('shows traffic of many providers, and ends cleanly at Ctrl-C', async () => {
    const temporary = mkdtempSync(join(tmpdir(), 'tokenweir-demo-test-'))
    onTestFinished(() => rmSync(temporary, { recursive: true, force: true }))
    const env = { ...cleanEnvironment(), TMPDIR: temporary }
    const child = spawn(process.execPath, [join(root, 'src/tokenweir.ts'), 'demo', '--seconds', '300'], { env })
    onTestFinished(() => void child.kill())
    const text = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (part: string) => (text[name] += part))
    const pageOf = () => /live page\s+(http:\S+)/.exec(text.stdout)?.[1]
    await expect.poll(pageOf).toBeDefined()
    const page = pageOf() as string
    expect((await fetch(page)).status).toBe(200)
    const metrics = async () => (await fetch(`${page}/metrics`)).text()
    const providers = async () =>
      new Set([...(await metrics()).matchAll(/^tokenweir_requests_total\{[^}]*gen_ai_provider_name="([^"]+)"/gm)].map(([, name]) => name))
    await expect.poll(async () => (await providers()).size).toBeGreaterThanOrEqual(6)
    await expect.poll(metrics).toMatch(/^tokenweir_streams_zero_usage_total\{[^}]*reason="upstream_omitted"[^}]*\} [1-9]/m)
    const folders = () => readdirSync(temporary).filter((name) => name.startsWith('tokenweir-demo-'))
    expect(folders()).toHaveLength(1)
    child.kill('SIGINT')
    const [code] = (await once(child, 'close')) as [number]
    expect({ code, stderr: text.stderr, end: text.stdout.trimEnd().split('\n').at(-1) }).toEqual({
      code: 0,
      stderr: '',
      end: 'Everything matches.',
    })
    expect(text.stdout).not.toContain('DIFFERENT')
    expect(folders()).toEqual([])
    await expect(fetch(page)).rejects.toThrow('fetch failed')
  })

  it.each([
    [['--seconds', '0'], '--seconds "0" is no number up to 3600.'],
    [['now'], '"now" is one argument too many.'],
  ])('refuses wrong arguments: %s', async (args, sentence) => {
    const { code, stderr } = await runOn({ columns: 80, colour: false }, ['demo', ...args])
    expect([code, stderr]).toEqual([2, `tokenweir: ${sentence} See tokenweir --help.\n`])
  })
})
