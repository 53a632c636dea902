/** Starts the recorder's thread. */
import type { Worker } from 'node:worker_threads'
import type { Config } from '../config/config.ts'
import { startThread } from '../lib/program.ts'
import { cloneableConfig, type RecorderData } from './data.ts'

/** `restarted`: in place of one that has died. */
export function startRecorder(config: Config, cells: Int32Array, restarted: boolean): Worker {
  const workerData: RecorderData = { config: cloneableConfig(config), cells: cells.buffer as SharedArrayBuffer, restarted }
  return startThread('recorder/recorder', { workerData, name: 'recorder' }) // the thread's name, as top -H shows it
}
