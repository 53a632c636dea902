/** Starts the recorder's thread. */
import { Worker } from 'node:worker_threads'
import type { Config } from '../config/config.ts'
import { cloneableConfig, type RecorderData } from './data.ts'

/** `again`: in place of one that has died, whose admin port stays where people look for it. */
export function startRecorder(config: Config, cells: Int32Array, again: { readonly adminPort: number } | undefined): Worker {
  const file = import.meta.url.endsWith('.ts') ? './recorder.ts' : './recorder.js'
  const admin = { ...config.admin, port: again?.adminPort ?? config.admin.port }
  const workerData: RecorderData = {
    config: cloneableConfig({ ...config, admin }),
    cells: cells.buffer as SharedArrayBuffer,
    ...(again === undefined ? {} : { restarted: true }),
  }
  return new Worker(new URL(file, import.meta.url), { workerData, name: 'recorder' }) // the thread's name, as top -H shows it
}
