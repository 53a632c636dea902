/**
 * A temporary database for one comparison: a snapshot of the ledger, and every record found elsewhere. SQLite moves it to a temporary file when it
 * grows, so that millions of records do not fill memory. The ledger is only read.
 */
import { resolve } from 'node:path'
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { firstIdAt } from '../../lib/ids.ts'
import { parseJson } from '../../lib/json.ts'
import type { OpenRange } from '../../lib/range.ts'
import { type Counters, countersOfSeries, type Totals } from './counters.ts'
import { type Seen, spansOfJson, spansOfProtobuf } from './spans.ts'

export type Source = 'span' | 'log'

export interface Snapshot {
  /** Rows of the range: closed, and still open. */
  readonly closed: number
  readonly open: number
  /** Id of the oldest row of the whole ledger. */
  readonly oldest: string | undefined
  /** By provider, `''` when unknown. Counts closed rows of the range; tokens only where span and metrics have them. */
  readonly byProvider: ReadonlyMap<string, Totals>
  /** Undefined in a file of a version that stored none. */
  readonly counters: Counters | undefined
  /** Spans that wait for the collector: rows above the mark, and what an earlier version left encoded. */
  readonly waiting: number
}

export interface Example {
  readonly id: string
  readonly ledger?: { readonly inputTokens: number | null; readonly outputTokens: number | null }
  readonly found?: { readonly inputTokens: number | null; readonly outputTokens: number | null }
  readonly times?: number
}

export interface Found {
  readonly count: number
  readonly examples: readonly Example[]
}

export interface Scratch {
  /** Takes a snapshot of the ledger, and discards the one before. */
  takeSnapshot(): Snapshot
  put(source: Source, seen: Seen): void
  /** Distinct exchanges and records of that source in the range. */
  seen(source: Source): { readonly exchanges: number; readonly records: number }
  /** Closed rows without a record; `endedBefore` (milliseconds since the epoch) leaves out rows whose record may still arrive. */
  missing(source: Source, endedBefore: number, examplesMax: number): Found
  /** Records without a row. With `before` (an id), only older ones; else only those from it up to `upTo`. */
  rowless(source: Source, where: { readonly before: string } | { readonly from: string; readonly upTo: string }, examplesMax: number): Found
  repeated(source: Source, examplesMax: number): Found
  differing(source: Source, examplesMax: number): Found
  close(): void
}

/** Throws SQLite's error when the file is not a database or cannot be read. */
export function openScratch(ledger: string, range: OpenRange): Scratch {
  const database = new DatabaseSync('')
  database.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536')
  database.prepare('ATTACH ? AS ledger').run(`${pathToFileURL(resolve(ledger)).href}?mode=ro`)
  database.exec(`
    CREATE TABLE noted (id TEXT PRIMARY KEY, ended REAL, is_open INT, shows_tokens INT, provider TEXT, input INT, output INT) WITHOUT ROWID;
    CREATE TABLE span (id TEXT PRIMARY KEY, times INT, waits INT, input INT, output INT) WITHOUT ROWID;
    CREATE TABLE log (id TEXT PRIMARY KEY, times INT, waits INT, input INT, output INT) WITHOUT ROWID;
    BEGIN`)
  const from = range.sinceMs === undefined ? '' : firstIdAt(range.sinceMs)
  const to = range.untilMs === undefined ? 'g' : firstIdAt(range.untilMs) // no hexadecimal digit is beyond it
  const put = {
    span: database.prepare('INSERT INTO span VALUES (?, 1, 0, ?, ?) ON CONFLICT DO UPDATE SET times = times + 1'),
    log: database.prepare('INSERT INTO log VALUES (?, 1, 0, ?, ?) ON CONFLICT DO UPDATE SET times = times + 1'),
  }
  const putWaiting = database.prepare('INSERT INTO span VALUES (?, 0, 1, ?, ?) ON CONFLICT DO UPDATE SET waits = 1')
  const isInside = (id: string) => id >= from && id < to

  return {
    takeSnapshot: () =>
      takeSnapshot(database, from, to, ({ id, inputTokens, outputTokens }) => {
        if (isInside(id)) putWaiting.run(id, inputTokens ?? null, outputTokens ?? null)
      }),
    put(source, { id, inputTokens, outputTokens }) {
      if (isInside(id)) put[source].run(id, inputTokens ?? null, outputTokens ?? null)
    },
    seen(source) {
      const row = database.prepare(`SELECT count(*) AS exchanges, ifnull(sum(times), 0) AS records FROM ${source} WHERE times > 0`).get()
      return { exchanges: Number(row?.['exchanges']), records: Number(row?.['records']) }
    },
    ...comparisons(database),
    close: () => database.close(),
  }
}

function takeSnapshot(database: DatabaseSync, from: string, to: string, onWaiting: (seen: Seen) => void): Snapshot {
  database.exec('COMMIT; DELETE FROM noted; DELETE FROM span WHERE times = 0; UPDATE span SET waits = 0; BEGIN')
  const names = new Set(
    database
      .prepare("SELECT name FROM ledger.sqlite_schema WHERE type = 'table'")
      .all()
      .map((row) => row['name']),
  )
  const columns = new Set(
    database
      .prepare("SELECT name FROM pragma_table_info('exchanges', 'ledger')")
      .all()
      .map((row) => row['name']),
  )
  // An earlier version has no such column: it had no callers that report usage themselves, or cannot tell.
  const byCaller = columns.has('usage_by_caller') ? 'ifnull(usage_by_caller, 0) = 0' : '1'
  database
    .prepare(
      `INSERT INTO noted SELECT id, ended_at, end_reason IS NULL, operation IS NOT NULL AND ${byCaller}, ifnull(provider, ''), input_tokens,
       output_tokens FROM ledger.exchanges WHERE id >= ? AND id < ?`,
    )
    .run(from, to)
  let waiting = 0
  if (names.has('meta')) {
    for (const { id, input, output } of database.prepare(waitingRows).iterate()) {
      waiting++
      onWaiting({
        id: String(id),
        inputTokens: input === null ? undefined : Number(input),
        outputTokens: output === null ? undefined : Number(output),
      })
    }
  }
  const packets = names.has('spool')
    ? database.prepare("SELECT encoding, body FROM ledger.spool WHERE signal = 'traces' ORDER BY id").iterate()
    : []
  for (const { encoding, body } of packets) {
    const bytes = body as Uint8Array
    for (const seen of encoding === 'json' ? spansOfJson(parseJson(Buffer.from(bytes).toString())) : spansOfProtobuf(bytes)) {
      waiting++
      onWaiting(seen)
    }
  }
  const counters = names.has('series')
    ? countersOfSeries(database.prepare('SELECT name, labels, value, sum FROM ledger.series').iterate())
    : undefined
  const oldest = database.prepare('SELECT min(id) AS id FROM ledger.exchanges').get()?.['id']
  database.exec('COMMIT; BEGIN') // a long read transaction would hold up the ledger's writer
  const counts = database
    .prepare('SELECT count(*) FILTER (WHERE is_open = 0) AS closed, count(*) FILTER (WHERE is_open) AS open FROM noted')
    .get()
  return {
    closed: Number(counts?.['closed']),
    open: Number(counts?.['open']),
    oldest: typeof oldest === 'string' ? oldest : undefined,
    byProvider: providersOf(database),
    counters,
    waiting,
  }
}

/** Above the mark of spans. No span tells the tokens of a request that is no inference, or that its caller reports. */
const waitingRows = `
  SELECT ledger.exchanges.id AS id, iif(noted.shows_tokens, input_tokens, NULL) AS input, iif(noted.shows_tokens, output_tokens, NULL) AS output
  FROM ledger.exchanges JOIN ledger.meta ON key = 'exported_traces' JOIN noted ON noted.id = ledger.exchanges.id
  WHERE ledger.exchanges.rowid > meta.value AND end_reason IS NOT NULL`

function providersOf(database: DatabaseSync): Map<string, Totals> {
  const rows = database
    .prepare(
      `SELECT provider, count(*) AS requests, ifnull(sum(input) FILTER (WHERE shows_tokens), 0) AS input,
       ifnull(sum(output) FILTER (WHERE shows_tokens), 0) AS output FROM noted WHERE is_open = 0 GROUP BY provider`,
    )
    .all()
  return new Map(
    rows.map((row) => [
      String(row['provider']),
      { requests: Number(row['requests']), inputTokens: Number(row['input']), outputTokens: Number(row['output']) },
    ]),
  )
}

function comparisons(database: DatabaseSync) {
  const select = (what: string, from: string, values: readonly (string | number)[], max: number): Found => {
    const count = Number(database.prepare(`SELECT count(*) AS count ${from}`).get(...values)?.['count'])
    const rows = count === 0 ? [] : database.prepare(`SELECT ${what} ${from} ORDER BY id LIMIT ?`).all(...values, max)
    return { count, examples: rows.map(exampleOf) }
  }
  return {
    missing: (source: Source, endedBefore: number, max: number) =>
      select(
        'id',
        `FROM noted WHERE is_open = 0 AND ifnull(ended, 0) < ? AND NOT EXISTS (SELECT 1 FROM ${source} WHERE ${source}.id = noted.id)`,
        [endedBefore],
        max,
      ),
    rowless(source: Source, where: { readonly before: string } | { readonly from: string; readonly upTo: string }, max: number) {
      const [condition, values] = 'before' in where ? ['id < ?', [where.before]] : ['id >= ? AND id < ?', [where.from, where.upTo]]
      return select(
        'id, input AS found_input, output AS found_output',
        `FROM ${source} WHERE ${condition} AND NOT EXISTS (SELECT 1 FROM noted WHERE noted.id = ${source}.id)`,
        values,
        max,
      )
    },
    repeated: (source: Source, max: number) => select('id, times', `FROM ${source} WHERE times > 1`, [], max),
    differing(source: Source, max: number) {
      // A log line shows every count; a span shows none of another kind of request, and none that its caller reports.
      const shown = source === 'span' ? 'AND shows_tokens' : ''
      return select(
        'id, noted.input, noted.output, other.input AS found_input, other.output AS found_output',
        `FROM noted JOIN ${source} AS other USING (id) WHERE is_open = 0 ${shown} AND (noted.input IS NOT other.input OR noted.output IS NOT other.output)`,
        [],
        max,
      )
    },
  }
}

function exampleOf(row: Record<string, SQLOutputValue>): Example {
  const count = (name: string) => (typeof row[name] === 'number' ? row[name] : null)
  return {
    id: String(row['id']),
    ...('input' in row ? { ledger: { inputTokens: count('input'), outputTokens: count('output') } } : {}),
    ...('found_input' in row ? { found: { inputTokens: count('found_input'), outputTokens: count('found_output') } } : {}),
    ...(typeof row['times'] === 'number' ? { times: row['times'] } : {}),
  }
}
