import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { configurationPage } from '../../scripts/reference/configuration.ts'
import { pathsByFormat } from '../../scripts/reference/wire-formats.ts'
import { pages } from '../../scripts/reference.ts'
import { settings } from '../../src/config/schema.ts'

describe.each(Object.keys(pages))('docs/%s', (name) => {
  it('is what npm run docs makes of the code', async () => {
    expect(readFileSync(resolve(import.meta.dirname, '../../docs', name), 'utf8')).toBe(await pages[name]?.())
  })
})

it('the table of wire formats knows a path of every format', () => {
  expect([...pathsByFormat()].filter(([, paths]) => paths.length === 0).map(([name]) => name)).toEqual([])
})

it('the configuration page has every setting once', () => {
  const page = configurationPage()
  const lines = page.split('\n').filter((line) => line.startsWith('| `'))
  expect(lines.length).toBe(settings.length)
})
