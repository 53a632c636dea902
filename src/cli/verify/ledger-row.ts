/** The ledger's row of one request, looked up in the file, which a running sidecar goes on writing. */
import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

/** What a verification looks at. Counts are null when they were not reported. */
export interface VerifiedRow {
  readonly id: string
  readonly end_reason: string | null
  readonly status: number | null
  readonly streamed: number | null
  readonly provider: string | null
  readonly input_tokens: number | null
  readonly output_tokens: number | null
  readonly usage_outcome: string | null
  readonly usage_reason: string | null
  /** A JSON list. Not among what the sidecar tells. */
  readonly notes?: string | null
}

/** How a request is found: by its trace id, or, where the route starts a new trace, by the id of its response. */
export interface Mark {
  readonly traceId: string
  /** Milliseconds since the epoch; rows that began earlier are not looked at. */
  readonly sinceMs: number
  readonly responseId: string | undefined
}

const columns = 'id, end_reason, status, streamed, provider, input_tokens, output_tokens, usage_outcome, usage_reason, notes'
/** A tolerance for rounding. Containers on one machine share a clock. */
const earlierMs = 1000

export type Lookup = { readonly row: VerifiedRow | undefined } | { readonly unreadable: string }

/** Never throws. `row` is undefined while it does not exist or is still open. */
export function findRow(path: string, { traceId, sinceMs, responseId }: Mark): Lookup {
  if (!existsSync(path)) return { unreadable: 'there is no such file' }
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: 1000 })
    const statement = database.prepare(
      `SELECT ${columns} FROM exchanges WHERE started_at >= ? AND end_reason IS NOT NULL AND (trace_id = ? OR response_id = ?) LIMIT 1`,
    )
    return { row: statement.get(sinceMs - earlierMs, traceId, responseId ?? null) as VerifiedRow | undefined }
  } catch (error) {
    return { unreadable: (error as Error).message }
  } finally {
    database?.close()
  }
}
