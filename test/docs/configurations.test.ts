/** The configurations that documents print: YAML and JSON can be read, and what is for the sidecar it accepts. */
import { globSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { loadConfig } from '../../src/config/config.ts'
import { settings } from '../../src/config/schema.ts'

const root = resolve(import.meta.dirname, '../..')
const ownKeys = new Set(settings.map(({ key }) => key.split('.')[0]))

interface Block {
  readonly where: string
  readonly language: string
  readonly text: string
}

const blocksOf = (document: string, text: string): Block[] =>
  [...text.matchAll(/^```(yaml|json)\n([\s\S]*?)^```/gm)].map(({ 1: language, 2: block, index }) => ({
    where: `${document}:${text.slice(0, index).split('\n').length}`,
    language: language as string,
    text: block as string,
  }))

const documents = globSync(['*.md', '{docs,deploy,examples}/**/*.md'], { cwd: root, exclude: ['docs/decisions/**', '**/node_modules/**'] })
const blocks = documents.map(String).flatMap((name) => blocksOf(name, readFileSync(resolve(root, name), 'utf8')))

/** What is wrong with a block; files that it names are the reader's own. */
async function problemsOf({ language, text }: Block): Promise<readonly string[]> {
  const read = parseAllDocuments(text)
  const faults = read.flatMap(({ errors }) => errors.map(({ message }) => message))
  const keys = read.flatMap((one) => Object.keys(one.toJS() ?? {}))
  if (faults.length > 0 || language === 'json' || !keys.some((key) => ownKeys.has(key))) return faults
  const readFile = (path: string) => {
    if (path === 'tokenweir.yaml') return text
    throw Object.assign(new Error(path), { code: 'ENOENT' })
  }
  const loaded = await loadConfig({ flags: { config: 'tokenweir.yaml' }, env: {}, readFile, upstreamNeeded: false })
  const errors = 'errors' in loaded ? loaded.errors : []
  return errors.filter(({ message }) => !message.includes('ENOENT')).map(({ key, message }) => `${key}: ${message}`)
}

it.each(blocks)('$where', async (block) => expect(await problemsOf(block)).toEqual([]))

it('this guard finds what it looks for', async () => {
  const [misspelt, broken] = blocksOf('x.md', '```yaml\nlisten: 127.0.0.1:1\nroutse: []\n```\n\n```json\n{ "a": 1, "b" }}\n```\n')
  expect(await problemsOf(misspelt as Block)).toEqual([expect.stringMatching(/^routse: .*routes/)])
  expect(await problemsOf(broken as Block)).not.toEqual([])
  expect(blocks.length).toBeGreaterThan(20)
})
