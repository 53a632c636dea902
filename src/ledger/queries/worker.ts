/** The reading thread: a long look through the ledger must hold up neither requests nor their records. */
import { statSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { openForReading } from './open.ts'
import type { Asked, Told } from './reader.ts'
import { answer } from './run.ts'

const { path } = workerData as { readonly path: string }
let opened: { readonly database: DatabaseSync; readonly file: number | undefined } | undefined

/** The ledger's file is moved aside when it is damaged, and another takes its name. */
function current(): DatabaseSync {
  const file = statSync(path, { throwIfNoEntry: false })?.ino
  if (opened !== undefined && opened.file !== file) {
    opened.database.close()
    opened = undefined
  }
  opened ??= { database: openForReading(path), file }
  return opened.database
}

parentPort?.on('message', ({ number, question }: Asked) => {
  const tell = (told: Told) => parentPort?.postMessage(told)
  try {
    tell({ number, answer: answer(current(), path, question) })
  } catch (error) {
    tell({ number, problem: error instanceof Error ? error.message : String(error) })
  }
})
