/** Whatever a document names exists: links between documents, and paths of the source. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import packageJson from '../package.json' with { type: 'json' }
import { columns } from '../src/ledger/columns.ts'

const root = resolve(import.meta.dirname, '..')
const documents = [
  'README.md',
  'README.zh-CN.md',
  'ARCHITECTURE.md',
  'CHANGELOG.md',
  'bench/README.md',
  'deploy/README.md',
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
  ...readdirSync(join(root, 'docs/decisions')).map((name) => `docs/decisions/${name}`),
].filter((name) => name.endsWith('.md'))

/** Fenced blocks hold examples, whose names are made up. */
const prose = (text: string) => text.replace(/```[\s\S]*?```/g, '')

function linksOf(text: string): string[] {
  return [...prose(text).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)]
    .map(([, target]) => target as string)
    .filter((target) => !/^[a-z]+:/.test(target))
}

function pathsOf(text: string): string[] {
  return [...prose(text).matchAll(/`((?:src|test|bench|scripts|docs|examples|grafana|deploy)\/[\w./-]*)`/g)].map(
    ([, path]) => path as string,
  )
}

describe.each(documents)('%s', (name) => {
  const text = readFileSync(join(root, name), 'utf8')

  it('links to what exists', () => {
    expect(linksOf(text).filter((target) => !existsSync(join(root, dirname(name), target)))).toEqual([])
  })

  it('names sources that exist', () => {
    expect(pathsOf(text).filter((path) => !existsSync(join(root, path)))).toEqual([])
  })
})

it('the changelog has the version of the package, with its date, below nothing but what is not released', () => {
  const headings = [...readFileSync(join(root, 'CHANGELOG.md'), 'utf8').matchAll(/^## (.+)$/gm)].map(([, heading]) => heading as string)
  const released = headings.filter((heading, index) => index > 0 || heading !== 'Unreleased')
  expect(released.filter((heading) => !/^\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d$/.test(heading))).toEqual([])
  expect(released[0]?.split(' ')[0]).toBe(packageJson.version)
})

it('the list of decisions has every record, by its title and with its successor, and each has its date', () => {
  const folder = join(root, 'docs/decisions')
  const records = readdirSync(folder).filter((name) => name !== 'README.md')
  const texts = records.map((name) => readFileSync(join(folder, name), 'utf8'))
  const lines = texts.map((text, at) => {
    const [, title] = /^# (.+)\n\n\d{4}-\d\d-\d\d\n/.exec(text) ?? []
    const [, successor] = /^Superseded \d{4}-\d\d-\d\d by (.+)\.$/m.exec(text) ?? []
    return `- [${title ?? 'a record without title and date'}](${records[at]})${successor === undefined ? '' : ` (superseded by ${successor})`}`
  })
  const list = readFileSync(join(folder, 'README.md'), 'utf8')
  expect([...list.matchAll(/^- .+$/gm)].map(([line]) => line).sort()).toEqual(lines.sort())
})

it('the document of the ledger has each of its columns, in order, with type and description', () => {
  const text = readFileSync(join(root, 'docs/ledger.md'), 'utf8')
  const rows = [...text.matchAll(/^\| `(\w+)` +\| (\w+) +\| (.*?) +\|$/gm)].map(([, name, type, description]) => ({
    name,
    type,
    description,
  }))
  expect(rows).toEqual(columns.map(({ name, type, description }) => ({ name, type, description })))
})

it('the reader of this guard finds links and paths', () => {
  const text = 'See [a](docs/a.md#x) and `src/b.ts`, not [c](https://c.example).\n```\n`src/d.ts`\n```\n'
  expect([linksOf(text), pathsOf(text)]).toEqual([['docs/a.md'], ['src/b.ts']])
})
