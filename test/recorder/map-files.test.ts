/** Files that give values other words, while they change. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { mapFileParser } from '../../src/config/labels.ts'
import { createMapFiles } from '../../src/recorder/map-files.ts'

it('A file that changes is read again; one that breaks or goes away is told once, and keeps what was read of it.', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-names-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'names.yaml')
  const said: string[] = []
  let now = 0
  writeFileSync(path, 'key:1: search')
  const { wordsOf: words } = await createMapFiles({
    paths: [undefined, path],
    report: (line) => said.push(line.replace(folder, '')),
    now: () => now,
  })
  const after = (ms: number) => {
    now += ms
    return { ...words(path) }
  }
  expect([after(0), words(undefined), words('other.yaml')]).toEqual([{ 'key:1': 'search' }, undefined, undefined])
  writeFileSync(path, '{"key:1": "sales", "key:2": "sales"}')
  expect([after(999), after(1), said]).toEqual([{ 'key:1': 'search' }, { 'key:1': 'sales', 'key:2': 'sales' }, []])
  writeFileSync(path, 'key:1: [a]')
  expect([after(1000), after(1000), after(1000)]).toEqual(Array(3).fill({ 'key:1': 'sales', 'key:2': 'sales' }))
  expect(said).toEqual([
    expect.stringMatching(/^\/names\.yaml cannot be used \(.*is no text.*\)\. What was read of it before stays in effect\.$/),
  ])
  rmSync(path)
  expect([after(1000), after(1000)]).toEqual(Array(2).fill({ 'key:1': 'sales', 'key:2': 'sales' }))
  expect(said.slice(1)).toEqual(['/names.yaml cannot be used (ENOENT). What was read of it before stays in effect.'])
  writeFileSync(path, '{}')
  expect([after(1000), said.length]).toEqual([{}, 2])
})

it('Other files take the place of those that were watched, and are read at once; one that has changed is looked at at once too.', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-names-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const [one, two] = [join(folder, 'one.yaml'), join(folder, 'two.yaml')]
  writeFileSync(one, 'a: first')
  writeFileSync(two, 'b: second')
  const { wordsOf, use } = await createMapFiles({ paths: [undefined], report: () => undefined, now: () => 0 })
  const words = () => [one, two].map((path) => ({ ...wordsOf(path) }))
  expect(words()).toEqual([{}, {}])
  expect([await use([one, undefined]), words()]).toEqual([[one], [{ a: 'first' }, {}]])
  expect(await use([one])).toEqual([])
  writeFileSync(one, 'a: changed')
  expect([await use([one, two, two]), words()]).toEqual([
    [one, two],
    [{ a: 'changed' }, { b: 'second' }],
  ])
  expect([await use([two]), words()]).toEqual([[], [{}, { b: 'second' }]])
})

it('A file of ten thousand values is read in a moment; one that names a value twice is refused.', async () => {
  const parse = await mapFileParser()
  const lines = Array.from({ length: 10_000 }, (_, index) => `key:${index}: team-${index}`)
  const before = process.cpuUsage()
  expect(Object.keys(parse(lines.join('\n'))).length).toBe(10_000)
  // A check of each key against all others takes 5 s.
  expect(process.cpuUsage(before).user).toBeLessThan(2_500_000)
  expect(() => parse('a: 1\nb: 2\na: 3')).toThrow('"a" is here twice. Take one away.')
  expect(() => parse('a: [1')).toThrow(/line 1/)
})
