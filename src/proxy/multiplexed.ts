/**
 * Connections of a route that asks for HTTP/2: undici's Pool carries many requests on one of them, and opens another when the streams that the
 * upstream allows are all in use. An upstream that does not offer HTTP/2 is asked by HTTP/1.1.
 */
import { Pool } from 'undici'
import { Call, type Carrier, straight, type Upstream } from './call.ts'
import { UpstreamFault } from './fault.ts'

/** Names of servers to which there are connections. */
const namesMax = 100

export function createMultiplexed(origin: string, settings: Pool.Options, nameFor: (call: Call) => string | undefined): Upstream {
  /** A connection belongs to one name; the one used longest ago comes first. */
  const pools = new Map<string | undefined, Carrier & { readonly dispatcher: Pool }>()
  let isDestroyed = false
  let isRetired = false

  const open = (servername: string | undefined) => ({
    dispatcher: new Pool(origin, { ...settings, allowH2: true }),
    way: straight,
    servername,
    headMs: settings.headersTimeout ?? 0,
    settled: () => undefined,
    again: (call: Call) => call.fail(new UpstreamFault('CLOSED')),
  })

  function poolFor(name: string | undefined): Carrier {
    const pool = pools.get(name) ?? open(name)
    pools.delete(name)
    const [oldest] = pools
    if (pools.size >= namesMax && oldest !== undefined) {
      pools.delete(oldest[0])
      void oldest[1].dispatcher.close() // once its requests have ended
    }
    pools.set(name, pool)
    return pool
  }

  /** Once their requests have ended. */
  function closeAll(): void {
    for (const { dispatcher } of pools.values()) void dispatcher.close()
    pools.clear()
  }

  return {
    dispatch(request, handler) {
      const call = new Call(request, handler)
      const name = nameFor(call)
      if (isDestroyed) queueMicrotask(() => call.fail(new UpstreamFault('STOPPED')))
      else call.dispatchOn(poolFor(name))
      if (isRetired) closeAll()
      return call
    },
    destroy() {
      isDestroyed = true
      for (const { dispatcher } of pools.values()) void dispatcher.destroy(new UpstreamFault('STOPPED'))
    },
    retire() {
      isRetired = true
      closeAll()
    },
  }
}
