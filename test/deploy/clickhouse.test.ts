/** That the schema works in ClickHouse is test/stack/tiers.stack.test.ts. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { schemaFile, schemaText } from '../../scripts/clickhouse-schema.ts'

it('has the columns of the ledger; else: npm run clickhouse', () => {
  expect(readFileSync(schemaFile, 'utf8')).toBe(schemaText())
})
