/** Many names at once: rows as the ledger has them, made in SQLite, because a hundred thousand exchanges through the sinks would take a minute. */
import { DatabaseSync } from 'node:sqlite'

export interface Crowd {
  readonly rows: number
  readonly providers: number
  readonly models: number
  readonly callers: number
  /** Rows are spread evenly over the range. */
  readonly sinceMs: number
  readonly untilMs: number
}

/** `path` is a ledger that is there. Caller n has n + 1 as its input tokens, so that the order by tokens is known. */
export function addCrowd(path: string, { rows, providers, models, callers, sinceMs, untilMs }: Crowd): void {
  const database = new DatabaseSync(path, { timeout: 10_000 })
  const last = () => Number(database.prepare('SELECT ifnull(max(rowid), 0) AS rowid FROM exchanges').get()?.['rowid'])
  const before = last()
  database
    .prepare(
      `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :rows)
       INSERT INTO exchanges (id, started_at, ended_at, trace_id, span_id, method, path, route, server_address, server_port, trace_flags, caller,
         end_reason, status, streamed, operation, provider, request_model, input_tokens, output_tokens, usage_outcome, cost, cost_status,
         time_to_first_chunk_ms, duration_ms)
       SELECT printf('crowd-%09d', i), :since + i * :step, :since + i * :step + 1000, printf('%032x', i), printf('%016x', i), 'POST',
         '/v1/chat/completions', 'default', 'api.example.com', 443, 1, printf('caller-%05d', i % :callers), 'completed', 200, 1, 'chat',
         printf('provider-%03d', i % :providers), printf('model-%04d', i % :models), i % :callers + 1, 10, 'reported', 0.001, 'priced',
         100 + i % 400, 1000 + i % 3000
       FROM n`,
    )
    .run({ rows, providers, models, callers, since: sinceMs, step: (untilMs - sinceMs) / rows })
  // As in an older ledger: these rows are in no rollup yet.
  const state = database.prepare('INSERT OR REPLACE INTO rollup_state (key, value) VALUES (?, ?)')
  state.run('after', before)
  state.run('upTo', last())
  database.close()
}
