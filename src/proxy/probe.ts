/** Asks upstreams now and then whether they answer, where a route says so. A probe is no exchange: it has no record, and is counted by itself. */
import type { Route } from '../config/config.ts'
import type { ProbeResult } from '../lib/upstream-health.ts'
import type { Call, CallHandler } from './call.ts'
import { nameFor } from './forward.ts'
import { failureReason, type Health, type UpstreamHealth } from './health.ts'
import { type Destination, destinationOf } from './routes.ts'
import type { UpstreamOf } from './upstreams.ts'

/** A probe may take so long, or until the next is due. */
const probeMsMax = 10_000

export interface Probes {
  stop(): void
}

/** One request to each probed upstream at once, then every so often. */
export function startProbes(routes: readonly Route[], upstreamOf: UpstreamOf, health: Pick<Health, 'of'>): Probes {
  const ends = routes.flatMap((route) =>
    route.probe === undefined ? [] : startProbe(destinationOf(route), route.probe, upstreamOf, health),
  )
  return {
    stop() {
      for (const end of ends) end()
    },
  }
}

function startProbe(
  destination: Destination,
  { path, everyMs }: NonNullable<Route['probe']>,
  upstreamOf: UpstreamOf,
  health: Pick<Health, 'of'>,
): () => void {
  let end: () => void = () => undefined
  const begin = () => {
    end()
    end = probe(destination, path, Math.min(everyMs, probeMsMax), upstreamOf, health.of(destination.origin))
  }
  begin()
  const timer = setInterval(begin, everyMs).unref()
  return () => {
    clearInterval(timer)
    end()
  }
}

/** Gives what ends it without a result. */
function probe({ route, origin, host }: Destination, path: string, msMax: number, upstreamOf: UpstreamOf, health: UpstreamHealth) {
  const from = performance.now()
  let call: Call | undefined
  let isOver = false
  const end = () => {
    isOver = true
    clearTimeout(late)
    call?.abort()
  }
  const settle = (result: ProbeResult | undefined) => {
    if (isOver) return
    if (result !== undefined) health.probed(result, performance.now() - from)
    end()
  }
  const late = setTimeout(settle, msMax, 'timeout').unref()
  const handler: CallHandler = {
    head: (status) => settle(status < 500 ? 'success' : '5xx'), // its body is not read
    failed: (error) => settle(failureReason(error)),
    ...{ bodySent: () => undefined, requestSent: () => undefined, interim: () => undefined, data: () => undefined, end: () => undefined },
  }
  const headers = ['user-agent', 'tokenweir probe', 'accept', '*/*']
  const named = typeof route.host === 'string' ? host : route.host.literal
  const request = { method: 'GET', path, headers, host: named, name: nameFor({ route }), body: null }
  call = upstreamOf(route, origin, route.http2 === true).dispatch(request, handler)
  return end
}
