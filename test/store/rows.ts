import { DatabaseSync } from 'node:sqlite'

/** What another program reads from the ledger's file while it is open. */
export function rows(path: string, query = 'SELECT * FROM exchanges ORDER BY id'): Record<string, unknown>[] {
  const database = new DatabaseSync(path, { readOnly: true })
  const found = database
    .prepare(query)
    .all()
    .map((row) => ({ ...row }))
  database.close()
  return found
}

/** Closed rows that the collector has not acknowledged. */
export function waitingRows(path: string, signal = 'traces'): number {
  const mark = `(SELECT value FROM meta WHERE key = 'exported_${signal}')`
  return Number(rows(path, `SELECT count(*) AS count FROM exchanges WHERE rowid > ${mark} AND end_reason IS NOT NULL`)[0]?.['count'])
}
