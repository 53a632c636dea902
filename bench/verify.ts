/** After the load: tokenweir is stopped, and must have exactly one record per request in each of its sinks. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { stop } from './processes.ts'
import type { Target } from './targets.ts'

export interface Verdict {
  /** Which tokenweir process: the timed one, or one of the memory scenario. */
  readonly occasion: string
  readonly requests: number
  readonly ledgerRows: number
  readonly logLines: number
  readonly spans: number
  readonly distinctSpans: number
  readonly unreadExports: number
  readonly exitCode: number | string
  readonly stopSeconds: number
  readonly ok: boolean
}

async function countLogLines(file: string): Promise<number> {
  let lines = 0
  for await (const line of createInterface({ input: createReadStream(file) })) {
    if (line.includes('"Request logged"') || line.includes('"Streaming request logged"')) lines += 1
  }
  return lines
}

function countRows(file: string): number {
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    const row = database.prepare('select count(*) as rows from exchanges').get() as { rows: number }
    return row.rows
  } finally {
    database.close()
  }
}

const stopPatienceMs = 90_000

/** Undefined for targets that keep no records; those are only stopped. */
export async function stopAndVerify(target: Target, occasion: string, requests: number): Promise<Verdict | undefined> {
  if (target.process === undefined) return undefined
  const began = performance.now()
  const exitCode = await stop(target.process, stopPatienceMs)
  const stopSeconds = (performance.now() - began) / 1_000
  if (target.records === undefined) return undefined
  const { ledger, log, sink } = target.records
  const counts = await sink.counts()
  await stop(sink.process)
  const [ledgerRows, logLines] = [countRows(ledger), await countLogLines(log)]
  const { spans, distinctSpans, unread: unreadExports } = counts
  const ok = exitCode === 0 && [ledgerRows, logLines, spans, distinctSpans].every((count) => count === requests)
  return { occasion, requests, ledgerRows, logLines, spans, distinctSpans, unreadExports, exitCode, stopSeconds, ok }
}
