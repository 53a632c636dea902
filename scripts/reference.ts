/**
 * `npm run docs`: writes the pages of `docs/` that are made from the code, so that a setting, metric, attribute or wire format is described once,
 * where it is defined. A test fails when a page is out of step.
 */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { commandsPage } from './reference/commands.ts'
import { configurationPage } from './reference/configuration.ts'
import { telemetryPage } from './reference/telemetry.ts'
import { wireFormatsPage } from './reference/wire-formats.ts'

/** File in `docs/` → its text. */
export const pages: Readonly<Record<string, () => string | Promise<string>>> = {
  'commands.md': commandsPage,
  'configuration.md': configurationPage,
  'telemetry.md': telemetryPage,
  'wire-formats.md': wireFormatsPage,
}

if (import.meta.main) {
  for (const [name, page] of Object.entries(pages)) {
    writeFileSync(resolve(import.meta.dirname, '../docs', name), await page())
    console.log(`docs/${name}`)
  }
}
