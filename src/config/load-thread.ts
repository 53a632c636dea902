/** Runs `loadConfig` on a thread of its own; started by `load-aside.ts`. */
import { readFileSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { loadConfig } from './config.ts'

void loadConfig({ ...workerData, readFile: (path) => readFileSync(path, 'utf8') }).then((loaded) => {
  // A URL cannot be cloned, but it is text in JSON.
  parentPort?.postMessage(JSON.stringify('errors' in loaded ? loaded : { config: loaded.config }))
})
