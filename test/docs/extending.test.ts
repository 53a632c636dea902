/** The page on extending is true: its code, put where it says, is a format that passes the conformance suite. */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cleanEnvironment } from '../e2e/product.ts'

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

/** Each line with a plus goes after the line above it, which must be there exactly once. */
function patched(source: string, diff: string): string {
  const lines = source.split('\n')
  let after = -1
  for (const line of diff.trimEnd().split('\n')) {
    const text = line.slice(1)
    if (line.startsWith('+')) lines.splice(++after, 0, text)
    else {
      expect({ text, times: lines.filter((one) => one === text).length }).toEqual({ text, times: 1 })
      after = lines.indexOf(text)
    }
  }
  return lines.join('\n')
}

beforeAll(() => {
  for (const folder of ['src', 'test/formats']) cpSync(join(root, folder), join(copy, folder), { recursive: true })
  for (const { kind, file, text } of blocks) {
    const path = join(copy, file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, kind === 'diff' ? patched(readFileSync(path, 'utf8'), text) : text)
  }
})
afterAll(() => rmSync(copy, { recursive: true, force: true }))

describe('the example of a format', () => {
  it('is one file, one line with its import, and two fixtures', () => {
    const added = blocks.map(({ kind, file, text }) => [kind, file, text.match(/^\+/gm)?.length ?? 0])
    expect(added).toEqual([
      ['ts', 'src/observe/formats/brook.ts', 0],
      ['diff', 'src/observe/formats/index.ts', 2],
      ['ts', 'test/formats/fixtures/brook.ts', 0],
      ['diff', 'test/formats/fixtures/index.ts', 2],
    ])
  })

  it('passes the conformance suite', async () => {
    const report = join(copy, 'report.json')
    const vitest = join(root, 'node_modules/vitest/vitest.mjs')
    const args = [vitest, 'run', '--root', copy, '--config', join(root, 'vitest.config.ts'), '--reporter', 'json', '--outputFile', report]
    await run(process.execPath, [...args, 'test/formats/conformance.test.ts', '-t', 'brook'], { cwd: copy, env: cleanEnvironment() })
    const { success, testResults } = JSON.parse(readFileSync(report, 'utf8'))
    const passed = testResults[0].assertionResults.filter(({ status }: { status: string }) => status === 'passed')
    const suites = new Set(passed.map(({ ancestorTitles }: { ancestorTitles: string[] }) => ancestorTitles[0]))
    expect({ success, suites: [...suites].sort() }).toEqual({ success: true, suites: ['brook', 'brook: pour body', 'brook: pour stream'] })
    expect(passed.length).toBeGreaterThan(20)
  })

  it('has the types that it should', async () => {
    const include = ['src/observe/formats/brook.ts', 'test/formats/fixtures/brook.ts']
    writeFileSync(join(copy, 'tsconfig.json'), JSON.stringify({ extends: join(root, 'tsconfig.json'), include }))
    await run(join(root, 'node_modules/.bin/tsc'), ['-p', copy, '--noEmit'], { cwd: copy })
  })
})
