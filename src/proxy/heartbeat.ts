/** The proxying thread's sign of life. */
import { Cell } from '../lib/shared-counters.ts'

/** Shows the recorder, once a second, that this thread is alive: `/livez` looks at it. */
export function beat(cells: Int32Array): NodeJS.Timeout {
  const show = () => Atomics.store(cells, Cell.heartbeat, Math.floor(process.uptime()))
  show()
  return setInterval(show, 1000).unref()
}
