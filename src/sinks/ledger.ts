/**
 * exchange → one row of an SQLite table. A row is written when its request starts and written again, whole, when it ends; one that starts
 * and ends in the same batch is written once. Each batch is one transaction. What cannot be written waits, and is tried again.
 * Measured: 10 µs a row, 18 µs for a row that is opened and closed in two batches; a table with rowid and `INSERT OR REPLACE` were faster
 * than WITHOUT ROWID and upsert.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Exchange, Opening } from '../exchange.ts'
import type { Meter } from '../telemetry/meter.ts'
import { endColumns, type SqlValue, startColumns } from './ledger-columns.ts'
import { openLedgerFile } from './ledger-file.ts'
import type { Batch, Sink } from './sink.ts'

export interface LedgerOptions {
  readonly path: string
  readonly meter: Meter
  /** A line for stderr, when writing begins to fail and when it works again. */
  readonly report: (line: string) => void
  /** Rows that may wait while the file cannot be written; more are dropped and counted. */
  readonly rowsWaitingMax?: number
  /** How long after a failure the rows are tried again. */
  readonly retryMs?: number
}

export interface Ledger extends Sink {
  /** The last write worked. */
  isWritable(): boolean
}

type Row = readonly SqlValue[]

/** About 1 KiB each. */
const rowsWaitingUsualMax = 50_000
const retryUsualMs = 1000

/** Throws `LedgerError` with the sentence that mends it. */
export function openLedger({ path, meter, report, rowsWaitingMax = rowsWaitingUsualMax, retryMs = retryUsualMs }: LedgerOptions): Ledger {
  const { database, recovered } = openLedgerFile(path)
  const write = createWriter(database)
  const written = meter.counter('tokenweir.ledger.written', {})
  const failures = meter.counter('tokenweir.ledger.failures', {})
  const dropped = meter.counter('tokenweir.ledger.dropped', {})
  const depth = meter.reading('tokenweir.ledger.depth', {})
  meter.counter('tokenweir.ledger.recovered', {}).add(recovered)
  /** By id, in order of arrival: the row of an ended request takes the place of its opened one. */
  let waiting = new Map<string, Row>()
  meter.beforeCollect(() => depth.set(waiting.size))
  let retry: NodeJS.Timeout | undefined
  let isWritable = true

  function hold(id: string, row: Row): void {
    if (waiting.size < rowsWaitingMax || waiting.has(id)) waiting.set(id, row)
    else dropped.add(1)
  }

  function flush(): void {
    retry = undefined
    if (waiting.size === 0) return
    try {
      write(waiting.values())
      written.add(waiting.size)
      waiting = new Map() // not cleared: the table of a cleared Map keeps what was in it alive until a major collection
      if (!isWritable) report(`The ledger ${path} can be written again.`)
      isWritable = true
    } catch (error) {
      failures.add(1)
      if (isWritable) report(`The ledger ${path} cannot be written: ${(error as Error).message}. Rows wait, and are tried again.`)
      isWritable = false
      retry = setTimeout(flush, retryMs).unref()
    }
  }

  return {
    name: 'ledger',
    isWritable: () => isWritable,
    record({ opened, ended }: Batch) {
      for (const opening of opened) hold(opening.id, startRow(opening))
      for (const exchange of ended) hold(exchange.opening.id, wholeRow(exchange))
      if (retry === undefined) flush()
    },
    async close() {
      clearTimeout(retry)
      flush()
      clearTimeout(retry)
      if (waiting.size > 0) report(`The ledger ${path} could not be written: ${waiting.size} rows are lost.`)
      database.close()
    },
  }
}

function createWriter(database: DatabaseSync): (rows: Iterable<Row>) => void {
  const placeholders = (count: number) => new Array(count).fill('?').join(', ')
  const names = startColumns.map(({ name }) => name).join(', ')
  const start = database.prepare(`INSERT OR REPLACE INTO exchanges (${names}) VALUES (${placeholders(startColumns.length)})`)
  const whole = database.prepare(`INSERT OR REPLACE INTO exchanges VALUES (${placeholders(startColumns.length + endColumns.length)})`)
  return (rows) => {
    database.exec('BEGIN IMMEDIATE')
    try {
      for (const row of rows) (row.length === startColumns.length ? start : whole).run(...row)
      database.exec('COMMIT')
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK')
      throw error
    }
  }
}

function startRow(opening: Opening): SqlValue[] {
  return startColumns.map(({ ofOpening }) => sqlValue(ofOpening(opening)))
}

function wholeRow(exchange: Exchange): Row {
  const row = startRow(exchange.opening)
  for (const { ofExchange } of endColumns) row.push(sqlValue(ofExchange(exchange)))
  return row
}

/** What SQLite could not bind would fail the whole batch, again and again. */
function sqlValue(value: SqlValue | undefined): SqlValue {
  return typeof value === 'string' || typeof value === 'number' ? value : null
}
