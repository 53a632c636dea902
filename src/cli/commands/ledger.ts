/** What the commands share that read the ledger of the configuration. */
import type { DatabaseSync } from 'node:sqlite'
import type { Config } from '../../config/config.ts'
import type { Range } from '../../lib/range.ts'
import { type Environment, type Flags, type Io, refuse } from './context.ts'

/** Gives the exit code of `read`, or of a configuration with errors. The database is closed behind it. */
export async function withLedger(
  { flags, env, io }: { readonly flags: Flags; readonly env: Environment; readonly io: Io },
  read: (database: DatabaseSync, config: Config) => Promise<number>,
): Promise<number> {
  const { loadConfig } = await import('../../config/config.ts')
  const loaded = await loadConfig({ flags, env, readFile: io.readFile, upstreamNeeded: false })
  if ('errors' in loaded) return refuse(loaded.errors, env, io)
  const { openForReading } = await import('../../ledger/queries/open.ts')
  const database = openForReading(loaded.config.ledger)
  try {
    return await read(database, loaded.config)
  } finally {
    database.close()
  }
}

export function whyEmpty(database: DatabaseSync, path: string, { sinceMs }: Pick<Range, 'sinceMs'>): string {
  const row = database.prepare('SELECT max(started_at) AS newest FROM exchanges').get() as { newest: number | null }
  if (row.newest === null) return `The ledger ${path} is empty. Send a request through tokenweir, and ask again.`
  const newest = new Date(row.newest).toISOString()
  if (row.newest < sinceMs)
    return `No request in this range: the last one began ${newest}. Look further back with --since, for example --since 30d.`
  return `No request in this range. The last one began ${newest}; move the range with --since and --until.`
}
