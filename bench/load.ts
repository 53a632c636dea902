/**
 * The load client, a process of its own: does the jobs it is sent over IPC, one at a time, bounded in count and time.
 * Every request it has sent is counted, whatever came of it.
 */
import type { Job, Way } from './jobs.ts'
import { reach } from './load/connection.ts'
import { hold, latency, paced, release, unpaced } from './load/streams.ts'
import { fetchOnce, json } from './load/whole.ts'

function run(job: Job) {
  switch (job.kind) {
    case 'fetch':
      return fetchOnce(job)
    case 'json':
      return json(job)
    case 'paced':
      return paced(job)
    case 'unpaced':
      return unpaced(job)
    case 'latency':
      return latency(job)
    case 'hold':
      return hold(job)
    case 'release':
      return release()
  }
}

process.on('message', (job: Job & { readonly way?: Way }) => {
  if (job.kind !== 'release') reach(job.port, job.way)
  run(job).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
process.send?.({ ready: true })
