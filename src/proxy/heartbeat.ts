/** The proxying thread's sign of life. */
import { Gauge } from '../batch.ts'

/** Shows the recorder, once a second, that this thread is alive: `/livez` looks at it. */
export function beat(gauges: Int32Array): NodeJS.Timeout {
  const show = () => Atomics.store(gauges, Gauge.heartbeat, Math.floor(process.uptime()))
  show()
  return setInterval(show, 1000).unref()
}
