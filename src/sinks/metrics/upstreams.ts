/** What upstreams do, as the proxying thread counts it: last success, failures, time to connect, probes. */
import type { UpstreamChange } from '../../lib/upstream-health.ts'
import type { Meter } from '../../telemetry/meter.ts'
import { createLabelCap } from '../label-cap.ts'

/** Upstreams are the configured ones; this bounds what changes of the configuration add up to. */
const upstreamsMax = 100

export function createUpstreamMetrics(meter: Meter) {
  const cap = createLabelCap(upstreamsMax, meter)
  const successes = new Map<string, ReturnType<Meter['reading']>>()

  function add({ upstream: name, lastSuccessAt, failures, connects, probes }: UpstreamChange): void {
    const upstream = cap.value('upstream', name)
    for (const [reason, count] of Object.entries(failures)) meter.counter('tokenweir.upstream.failures', { upstream, reason }).add(count)
    for (const [result, count] of Object.entries(probes)) meter.counter('tokenweir.upstream.probes', { upstream, result }).add(count)
    const connect = meter.histogram('tokenweir.upstream.connect.duration', { upstream })
    connects.forEach((count, bucket) => void connect.addToBucket(bucket, count))
    if (lastSuccessAt === undefined || upstream !== name) return
    let success = successes.get(upstream)
    if (success === undefined) successes.set(upstream, (success = meter.reading('tokenweir.upstream.last_success', { upstream })))
    success.set(lastSuccessAt / 1000)
  }

  return {
    record: (changes: readonly UpstreamChange[]) => changes.forEach(add),
    /** Of any other it is not told any more when it last succeeded. */
    keep(upstreams: readonly string[]): void {
      for (const [name, success] of successes) {
        if (upstreams.includes(name)) continue
        success.forget()
        successes.delete(name)
      }
    },
  }
}
