/** The reading thread: a long look through the ledger must hold up neither requests nor their records. */
import type { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { answer } from './answer.ts'
import { openForReading } from './open.ts'
import type { Asked, Told } from './reader.ts'

const { path } = workerData as { readonly path: string }
let database: DatabaseSync | undefined

parentPort?.on('message', ({ number, question }: Asked) => {
  const tell = (told: Told) => parentPort?.postMessage(told)
  try {
    database ??= openForReading(path)
    tell({ number, answer: answer(database, path, question) })
  } catch (error) {
    tell({ number, problem: error instanceof Error ? error.message : String(error) })
  }
})
