/** The dashboards as they are committed, against the types that Grafana publishes: `tsc` reads the JSON as literals, so an unknown field is an error. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
/** Inside the project, so that the types are found. */
const folder = mkdtempSync(join(root, 'node_modules/.tokenweir-types-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const sdk = '@grafana/grafana-foundation-sdk'
/** Kind of panel → whether its fields have options of their own. */
const kinds = { stat: false, timeseries: true, table: true, bargauge: false, heatmap: true, text: false } as const

/**
 * JSON has the text of an enum, no functions, and of a union that the SDK writes as an object one of its members. What a type leaves open (`any`),
 * stays open.
 */
const header = `
${Object.keys(kinds)
  .map((kind) => `import type * as ${kind} from '${sdk}/${kind}'`)
  .join('\n')}
import type { Dashboard, FieldConfig, Panel as AnyPanel, RowPanel } from '${sdk}/dashboard'
import type { Dataquery as Prometheus } from '${sdk}/prometheus'
import type { Dataquery as Tempo } from '${sdk}/tempo'
import type { TypeMath as Computed } from '${sdk}/expr'

type Json<T> = 0 extends 1 & T ? any
  : T extends string ? \`\${T}\`
  : T extends number | boolean | null | undefined ? T
  : T extends readonly (infer Item)[] ? Json<Item>[]
  : { [Key in keyof T as T[Key] extends () => void ? never : Key]: Json<T[Key]> }
type Query = Json<Prometheus> | Json<Tempo> | Json<Computed>
type Fields<Custom> = Omit<Json<FieldConfig>, 'custom'> & { custom?: Json<Custom> }
type Drawn<Type extends string, Options, Custom> = Omit<Json<AnyPanel>, 'type' | 'targets' | 'options' | 'fieldConfig'> & {
  type: Type; targets?: Query[]; options?: Json<Options>
  fieldConfig?: { defaults: Fields<Custom>; overrides: { matcher: { id: string; options?: any }; properties: { id: string; value?: any }[] }[] }
}
type Panel =
${Object.entries(kinds)
  .map(([kind, fields]) => `  | Drawn<'${kind}', ${kind}.Options, ${fields ? `${kind}.FieldConfig` : 'never'}>`)
  .join('\n')}
type Board = Omit<Json<Dashboard>, 'panels'> & { panels: (Panel | (Json<RowPanel> & { type: 'row' }))[] }
`

/** What tsc says of them; nothing if all is well. */
function says(boards: Readonly<Record<string, string>>): string {
  const files = Object.entries(boards).map(([name, text]) => {
    const file = join(folder, `${name}.ts`)
    writeFileSync(file, `${header}\nexport const board: Board = ${text}`)
    return file
  })
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--ignoreConfig', '--target', 'esnext', '--module', 'nodenext']
  try {
    return execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...options, ...files], {
      encoding: 'utf8',
      cwd: root,
    })
  } catch (error) {
    return (error as { readonly stdout: string }).stdout
  }
}

describe('the dashboards', () => {
  const boards = Object.fromEntries(
    readdirSync(join(root, 'grafana/dashboards')).map((name) => [
      name.replace('.json', ''),
      readFileSync(join(root, 'grafana/dashboards', name), 'utf8'),
    ]),
  )

  it('are of the types that Grafana publishes', () => {
    expect(says(boards)).toBe('')
  }, 300_000)

  it('would not be with a field or a value that Grafana does not know', () => {
    const { tokens = '' } = boards
    const changed = {
      field: tokens.replace('"graphTooltip"', '"graphTooltips"'),
      option: tokens.replace('"graphMode"', '"graphicMode"'),
      value: tokens.replace('"displayMode": "table"', '"displayMode": "chart"'),
      query: tokens.replace('"legendFormat"', '"legend"'),
    }
    expect(Object.values(changed).filter((text) => text === tokens)).toEqual([])
    const said = says({ ...changed, unchanged: tokens })
    expect(Object.keys({ ...changed, unchanged: '' }).filter((name) => said.includes(`${name}.ts(`))).toEqual(Object.keys(changed))
  }, 300_000)
})
