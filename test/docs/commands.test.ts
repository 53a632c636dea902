import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { commandsPage } from '../../scripts/commands-doc.ts'

it('docs/commands.md is what the program says; if not: node scripts/commands-doc.ts', async () => {
  expect(readFileSync(join(import.meta.dirname, '../../docs/commands.md'), 'utf8')).toBe(await commandsPage())
})
