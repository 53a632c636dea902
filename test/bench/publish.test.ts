/** The bench writes its results between markers of the documents, and nothing else. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { publish } from '../../bench/report.ts'

const root = join(import.meta.dirname, '../..')

it.each([
  ['bench/README.md', 'bench'],
  ['README.md', 'bench:share'],
  ['README.zh-CN.md', 'bench:share'],
])('%s has the place for <!-- %s -->, and all else stays as it is', (document, name) => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-publish-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'copy.md')
  const before = readFileSync(join(root, document), 'utf8')
  writeFileSync(file, before)
  publish(file, name, 'one')
  publish(file, name, 'two')
  const between = new RegExp(`(?<=<!-- ${name} -->)[\\s\\S]*(?=<!-- /${name} -->)`)
  expect(readFileSync(file, 'utf8')).toBe(before.replace(between, 'two'))
  expect(() => publish(file, 'nowhere', 'three')).toThrow('put <!-- nowhere --> and <!-- /nowhere --> around what is generated')
})
