/**
 * Connections of a route that asks for HTTP/2: undici's Pool carries many requests on one of them, and opens another when the streams that the
 * upstream allows are all in use. An upstream that does not offer HTTP/2 is asked by HTTP/1.1.
 */
import { Pool } from 'undici'
import { Call, straight, type Upstream } from './call.ts'
import { UpstreamFault } from './fault.ts'

/** Names of servers to which there are connections. */
const namesMax = 100

export function createMultiplexed(origin: string, settings: Pool.Options, nameFor: (call: Call) => string | undefined): Upstream {
  /** A connection belongs to one name; the one used longest ago comes first. */
  const pools = new Map<string, Pool>()
  let isDestroyed = false
  let isRetired = false
  const kept = {
    way: straight,
    headMs: settings.headersTimeout ?? 0,
    settled: () => undefined,
    again: (call: Call) => call.fail(new UpstreamFault('CLOSED')),
  }

  function poolFor(name: string): Pool {
    const pool = pools.get(name) ?? new Pool(origin, { ...settings, allowH2: true })
    pools.delete(name)
    const [oldest] = pools
    if (pools.size >= namesMax && oldest !== undefined) {
      pools.delete(oldest[0])
      void oldest[1].close() // once its requests have ended
    }
    pools.set(name, pool)
    return pool
  }

  /** Once their requests have ended. */
  function closeAll(): void {
    for (const pool of pools.values()) void pool.close()
    pools.clear()
  }

  return {
    dispatch(request, handler) {
      const call = new Call(request, handler)
      const name = nameFor(call)
      if (isDestroyed) queueMicrotask(() => call.fail(new UpstreamFault('STOPPED')))
      else call.dispatchOn({ ...kept, dispatcher: poolFor(name ?? ''), servername: name })
      if (isRetired) closeAll()
      return call
    },
    destroy() {
      isDestroyed = true
      for (const pool of pools.values()) void pool.destroy(new UpstreamFault('STOPPED'))
    },
    retire() {
      isRetired = true
      closeAll()
    },
  }
}
