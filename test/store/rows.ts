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
