/** A start takes as long with 20,000,000 rows as with none. */
import { DatabaseSync } from 'node:sqlite'
import { expect, it, vi } from 'vitest'
import { open } from './harness.ts'

it('no statement of the store reads all rows', () => {
  const prepared = vi.spyOn(DatabaseSync.prototype, 'prepare')
  const { path, store } = open()
  store.recover(() => undefined)
  const texts = [...new Set(prepared.mock.calls.map(([sql]) => sql))].filter((sql) => /^(SELECT|DELETE|WITH)/.test(sql))
  prepared.mockRestore()
  store.close()
  const database = new DatabaseSync(path)
  const scans = texts.filter((sql) => {
    const details = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all()
    return details.some(({ detail }) => detail === 'SCAN exchanges') && !/ LIMIT 1$/.test(sql)
  })
  database.close()
  expect(texts.length).toBeGreaterThan(10)
  expect(scans).toEqual([])
})
