/** ClickHouse as a library, with the schema, the queries and the dashboard as shipped. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { deployPrograms } from '../../scripts/deploy-tools.ts'
import type { LogRecord } from './tiers/traffic.ts'

const root = resolve(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

export const rollups = ['usage_by_minute', 'usage_by_hour', 'usage_by_day'] as const

/** What the clock does: the views are refreshed in order. */
export const refresh = rollups.flatMap((name) => [
  `SYSTEM REFRESH VIEW tokenweir.${name}_refresh`,
  `SYSTEM WAIT VIEW tokenweir.${name}_refresh`,
])

/** The statements of deploy/clickhouse/queries.sql. */
export const exampleQueries = () =>
  read('deploy/clickhouse/queries.sql')
    .replace(/^\s*--.*$/gm, '')
    .split(';\n')
    .map((text) => text.trim())
    .filter((text) => text !== '')

export interface PanelQuery {
  readonly title: string
  readonly sql: string
}

/** As Grafana sends them: its macros and the variable filled in. */
export function panelQueries(rollup: (typeof rollups)[number] = 'usage_by_minute'): PanelQuery[] {
  const { panels } = JSON.parse(read('deploy/clickhouse/dashboard.json')) as {
    panels: { title: string; targets: { rawSql: string }[] }[]
  }
  return panels.flatMap(({ title, targets }) =>
    targets.map(({ rawSql }) => ({
      title,
      sql: rawSql
        .replaceAll(/\$\{rollup\}/g, rollup)
        .replace(/\$__timeFilter\((\w+)\)/, '$1 >= toDateTime(now() - INTERVAL 2 DAY) AND $1 <= toDateTime(now())')
        .replace(/\$__timeInterval\((\w+)\)/, 'toStartOfInterval(toDateTime($1), INTERVAL 60 second)'),
    })),
  )
}

/** The answers of ClickHouse to the statements, with these records in it. */
export function clickhouse(records: readonly LogRecord[], statements: readonly string[]): Record<string, unknown>[][] {
  const input = JSON.stringify({ schema: read('deploy/clickhouse/schema.sql'), records, statements })
  const output = execFileSync(deployPrograms.clickhouse, [join(root, 'test/stack/tiers/clickhouse.py')], { input, maxBuffer: 1e9 })
  return JSON.parse(output.toString()) as Record<string, unknown>[][]
}
