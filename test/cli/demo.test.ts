/** `tokenweir demo` as somebody runs it: there is something to see, and Ctrl-C ends it with everything accounted for. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { painter } from '../../src/cli/commands/context.ts'
import { standingText, welcomeText } from '../../src/cli/commands/demo-text.ts'
import { type Evidence, isRight, storyRows, type Truth } from '../../src/cli/demo/story.ts'
import { cleanEnvironment } from '../e2e/product.ts'
import { runOn, terminals, visible } from './terminal.ts'

const root = resolve(import.meta.dirname, '../..')

const totals = Array.from({ length: 10 }, (_, index) => ({
  provider: index === 0 ? 'a.provider.with.a.name\u202e.that.is.far.too.long' : `provider_${index}`,
  ...{ requests: 10 ** index, streams: index, input: 12_345_678 * index, output: 7 },
  ...{ cost: 0.1234 * index, errors: index, withoutUsage: 1 },
}))
const reasons = Array.from({ length: 7 }, (_, index) => ({ what: `missing (reason_${index})`, count: 7 - index }))

const usage = (inputTokens: number, outputTokens: number) => ({ inputTokens, outputTokens })
const sent = [
  { id: 'a', streamed: true, status: 200, usage: usage(30, 4), ended: 'whole' as const },
  { id: 'b', streamed: true, status: 200, usage: usage(8, 1), ended: 'cut' as const },
  { id: undefined, streamed: false, status: 200, usage: usage(1_000_000, 234_567), ended: 'whole' as const },
  { id: undefined, streamed: false, status: 429, usage: undefined, ended: 'whole' as const },
]
const truth = { requests: 4, sent, told: [{ response_id: 'a', input_tokens: 30, output_tokens: 4 }] }
const ledger = {
  requests: 4,
  streamed: { requests: 2, tokens: 34, cost: 0.01234 },
  plain: { requests: 1, tokens: 1_234_567, cost: 1 },
}
const log = { streamed: { requests: 0, tokens: 0 }, plain: { requests: 1, tokens: 1_234_567 } }
const right = { log, ledger, logged: 2 }

it.each(terminals)('the demo looks as it should: $name', async ({ name, columns, colour }) => {
  const paint = painter({ isTTY: colour }, {})
  const places = { gateway: 'http://127.0.0.1:65001', sidecar: 'http://127.0.0.1:65002', page: 'http://127.0.0.1:65003', readyMs: 1234.5 }
  const welcome = welcomeText(places, columns !== undefined, paint)
  const shared = { totals, reasons, sent: 1234 }
  const running = standingText({ ...shared, story: storyRows(right), recorded: 1230, isRunning: true }, columns, paint)
  const over = standingText({ ...shared, story: storyRows(right, truth), recorded: 1234, isRunning: false }, columns, paint)
  const wrong = standingText(
    { ...shared, story: storyRows({ ...right, logged: 1 }, truth), recorded: 1234, isRunning: false },
    columns,
    paint,
  )
  for (const text of columns === 80 ? [welcome, running, over, wrong] : [])
    for (const line of stripVTControlCharacters(text).split('\n')) expect(line.length).toBeLessThanOrEqual(80)
  // With the verdict and the line of the cursor, the last screen of a terminal.
  expect((welcome + over).split('\n').length + 1).toBeLessThanOrEqual(24)
  await expect(visible([welcome, running, over, wrong].join('\n'))).toMatchFileSnapshot(`golden/demo-${name}.txt`)
})

it('looks as the README shows it', () => {
  const shown = /^```text\n( +GATEWAY’S LOG[^`]*)```$/m.exec(readFileSync(join(root, 'README.md'), 'utf8'))?.[1] ?? ''
  const story = storyRows(right, truth)
  const printed = standingText({ story, totals, reasons, sent: 4, recorded: 4, isRunning: false }, undefined, painter({}, {})).split(
    '\n\n',
  )[0]
  const shapeOf = (text = '') => text.trimEnd().replaceAll(/ +[\d,.]*\d\b/g, ' N')
  expect(shapeOf(shown)).toBe(shapeOf(printed))
  expect(shown).toMatch(/^streamed requests logged +0 .*\n +their tokens +0 /m)
})

describe('the story', () => {
  const wrongIn = (evidence: Evidence, what: Truth = truth) =>
    storyRows(evidence, what)
      .filter((row) => !isRight(row))
      .map((row) => row.what.trim())

  it('is right when tokenweir has what was sent, and the gateway its plain requests alone', () => {
    expect(wrongIn(right)).toEqual([])
    expect(storyRows(right).map(({ gateway, recorded }) => [gateway, recorded])).toEqual([
      [0, 2],
      [0, 34],
      [undefined, 0.01234],
      [1, 1],
      [1_234_567, 1_234_567],
      [undefined, 4],
    ])
  })

  it.each([
    ['a log line is missing', { ...right, logged: 1 }, ['streamed requests logged']],
    ['a token is missing', { ...right, ledger: { ...ledger, streamed: { ...ledger.streamed, tokens: 33 } } }, ['their tokens']],
    ['a row is missing', { ...right, ledger: { ...ledger, requests: 3 } }, ['all requests, failed ones too']],
    ['the gateway logs a stream', { ...right, log: { ...log, streamed: { requests: 1, tokens: 0 } } }, ['streamed requests logged']],
    [
      'the gateway loses a plain request',
      { ...right, log: { ...log, plain: { requests: 0, tokens: 0 } } },
      ['plain requests logged', 'their tokens'],
    ],
  ])('is wrong when %s', (_what, evidence, what) => {
    expect(wrongIn(evidence)).toEqual(what)
  })

  it('is wrong when two errors make a right sum', () => {
    const told = [{ response_id: 'a', input_tokens: 4, output_tokens: 30 }]
    expect(wrongIn(right, { ...truth, told })).toEqual(['token counts right, one by one'])
  })
})

describe('demo', () => {
  /** As a program of its own, until it shows where the page is. */
  async function startDemo() {
    const temporary = mkdtempSync(join(tmpdir(), 'tokenweir-demo-test-'))
    onTestFinished(() => rmSync(temporary, { recursive: true, force: true }))
    const env = { ...cleanEnvironment(), TMPDIR: temporary }
    const child = spawn(process.execPath, [join(root, 'src/tokenweir.ts'), 'demo', '--seconds', '300'], { env })
    onTestFinished(() => void child.kill())
    const text = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (part: string) => (text[name] += part))
    const pageOf = () => /live page\s+(http:\S+)/.exec(text.stdout)?.[1]
    await expect.poll(pageOf).toBeDefined()
    return { child, text, temporary, page: pageOf() as string }
  }

  it('shows traffic of many providers, and ends cleanly at Ctrl-C', async () => {
    const { child, text, temporary, page } = await startDemo()
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
    // The gateway's log has none of its streams; tokenweir has all.
    expect(text.stdout).toMatch(/^streamed requests logged +0 +([1-9]\d*) +\1 {2}as sent$/m)
    expect(text.stdout).toMatch(/^ {2}their tokens +0 +([1-9][\d,]*) +\1 {2}as sent\n {2}their cost in USD +– +[\d.]*[1-9]/m)
    expect(text.stdout).toMatch(
      /^plain requests logged +([1-9]\d*) +\1 +\1 {2}as sent\n {2}their tokens +([1-9][\d,]*) +\2 +\2 {2}as sent$/m,
    )
    expect(folders()).toEqual([])
    await expect(fetch(page)).rejects.toThrow('fetch failed')
  })

  it('leaves nothing running when its terminal is closed', async () => {
    const { child, page } = await startDemo()
    child.kill('SIGHUP')
    await once(child, 'close')
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
