/** Starts the recorder's thread. */
import { Worker } from 'node:worker_threads'
import type { Config } from '../config/config.ts'
import { cloneableConfig, type RecorderData } from './data.ts'

/** `restarted`: in place of one that has died. */
export function startRecorder(config: Config, cells: Int32Array, restarted: boolean): Worker {
  const file = import.meta.url.endsWith('.ts') ? './recorder.ts' : './recorder.js'
  const workerData: RecorderData = { config: cloneableConfig(config), cells: cells.buffer as SharedArrayBuffer, restarted }
  return new Worker(new URL(file, import.meta.url), { workerData, name: 'recorder' }) // the thread's name, as top -H shows it
}
