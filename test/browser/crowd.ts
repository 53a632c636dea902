/** Many names at once: rows as the ledger has them, made in SQLite, because a hundred thousand exchanges through the sinks would take a minute. */
import { openDatabase } from '../../src/ledger/file.ts'
import { keysUsualMax } from '../../src/ledger/rollups/keys.ts'
import { createRollups } from '../../src/ledger/rollups/rollups.ts'
import { ledgerShape } from '../../src/sinks/ledger.ts'
import { createMeter } from '../../src/telemetry/meter.ts'

export interface Crowd {
  readonly rows: number
  readonly providers: number
  readonly models: number
  readonly callers: number
  /** Rows are spread evenly over the range. */
  readonly sinceMs: number
  readonly untilMs: number
}

/** `path` is of a ledger that nobody has open; its rollups are made as an older ledger's are. Caller n has n + 1 as its input tokens, so that the order by tokens is known. */
export function addCrowd(path: string, { rows, providers, models, callers, sinceMs, untilMs }: Crowd): void {
  const database = openDatabase({ path, shape: ledgerShape })
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
  database.exec("INSERT OR REPLACE INTO rollup_state SELECT 'upTo', max(rowid) FROM exchanges")
  const rollups = createRollups({
    ...{ shape: ledgerShape, meter: createMeter(Date.now), now: Date.now, labels: [], keysMax: keysUsualMax, ageMsMax: () => 0 },
    stepMs: 2000,
  })
  rollups.opened(database)
  while (rollups.maintenance.step());
  database.close()
}
