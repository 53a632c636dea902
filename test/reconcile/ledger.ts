/** A ledger, spans and log lines made by hand, so that a test can leave out, repeat or change one. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { onTestFinished } from 'vitest'
import { columns } from '../../src/ledger/columns.ts'

export const startedAt = Date.parse('2026-11-23T08:00:00Z')

export interface Row {
  readonly id: string
  readonly ended?: false
  readonly input?: number
  readonly output?: number
  readonly provider?: string
}

/** Of that minute after `startedAt`, in the form of exchange ids. */
export function idAt(minute: number, serial = 0): string {
  const time = (startedAt + minute * 60_000).toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${String(serial).padStart(12, '0')}`
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-reconcile-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

interface Internal {
  readonly spool?: readonly { readonly encoding: 'json' | 'protobuf'; readonly body: Uint8Array }[]
  /** Rowid up to which the collector has acknowledged spans. */
  readonly mark?: number
  readonly series?: readonly { readonly name: string; readonly labels?: object; readonly value?: number; readonly sum?: number }[]
}

export function writeLedger(folder: string, rows: readonly Row[], { spool, mark, series }: Internal = {}): string {
  const path = join(folder, 'ledger.db')
  const database = new DatabaseSync(path)
  database.exec(`PRAGMA journal_mode = WAL; CREATE TABLE exchanges (${columns.map(({ name, type }) => `${name} ${type}`).join(', ')})`)
  const insert = database.prepare(
    'INSERT INTO exchanges (id, started_at, ended_at, end_reason, operation, provider, input_tokens, output_tokens) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  )
  for (const { id, ended, input, output, provider = 'openai' } of rows) {
    const isClosed = ended !== false
    const end = isClosed ? ([startedAt + 5, 'completed', 'chat', provider] as const) : ([null, null, null, null] as const)
    insert.run(id, startedAt, ...end, input ?? null, output ?? null)
  }
  if (spool !== undefined) {
    database.exec('CREATE TABLE spool (id INTEGER PRIMARY KEY, signal TEXT, encoding TEXT, body BLOB)')
    for (const { encoding, body } of spool) database.prepare("INSERT INTO spool VALUES (NULL, 'traces', ?, ?)").run(encoding, body)
  }
  if (mark !== undefined) {
    database.exec('CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID')
    database.prepare("INSERT INTO meta VALUES ('exported_traces', ?)").run(mark)
  }
  if (series !== undefined) {
    database.exec('CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT, labels TEXT, value REAL, sum REAL)')
    const put = database.prepare('INSERT INTO series VALUES (NULL, ?, ?, ?, ?)')
    for (const { name, labels, value, sum } of series) put.run(name, JSON.stringify(labels ?? {}), value ?? null, sum ?? null)
  }
  database.close()
  return path
}

type Tokens = Pick<Row, 'id' | 'input' | 'output'>

export const spanOf = ({ id, input, output }: Tokens) => ({
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  name: 'chat gpt-4o',
  attributes: [
    { key: 'http.request.method', value: { stringValue: 'POST' } },
    ...(input === undefined ? [] : [{ key: 'gen_ai.usage.input_tokens', value: { intValue: String(input) } }]),
    ...(output === undefined ? [] : [{ key: 'gen_ai.usage.output_tokens', value: { intValue: String(output) } }]),
    { key: 'tokenweir.exchange.id', value: { stringValue: id } },
  ],
})

export const requestOf = (spans: readonly object[]) => ({ resourceSpans: [{ resource: {}, scopeSpans: [{ scope: {}, spans }] }] })

/** As the file exporter writes them: a line for each request that it received. */
export function writeSpans(folder: string, requests: readonly (readonly Tokens[])[], name = 'spans.jsonl'): string {
  const path = join(folder, name)
  writeFileSync(path, requests.map((spans) => `${JSON.stringify(requestOf(spans.map(spanOf)))}\n`).join(''))
  return path
}

export const lineOf = ({ id, input, output }: Tokens, more: object = {}) =>
  JSON.stringify({ msg: 'Request logged', exchange_id: id, input_tokens: input, output_tokens: output, ...more })

/** A span as an export request in protobuf; field numbers as in opentelemetry-proto. */
export function protobufOf({ id, input, output }: Tokens): Uint8Array {
  const attribute = (key: string, value: Buffer) => part(9, Buffer.concat([part(1, Buffer.from(key)), part(2, value)]))
  const count = (value: number) => Buffer.concat([Buffer.from([3 << 3]), varint(value)])
  const attributes = [
    attribute('tokenweir.exchange.id', part(1, Buffer.from(id))),
    ...(input === undefined ? [] : [attribute('gen_ai.usage.input_tokens', count(input))]),
    ...(output === undefined ? [] : [attribute('gen_ai.usage.output_tokens', count(output))]),
  ]
  const startTime = Buffer.concat([Buffer.from([(7 << 3) | 1]), Buffer.alloc(8, 1)])
  const span = Buffer.concat([part(1, Buffer.alloc(16, 1)), startTime, ...attributes])
  return part(1, Buffer.concat([part(1, Buffer.alloc(0)), part(2, part(2, span))]))
}

const part = (field: number, value: Buffer) => Buffer.concat([Buffer.from([(field << 3) | 2]), varint(value.length), value])

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest % 128) | 128)
  }
}
