/** How near the limits on rate are, and who is refused for them. */
import type { Exchange, RateLimit } from '../../lib/exchange.ts'
import type { Counter, Histogram, Labels, Meter } from '../../telemetry/meter.ts'
import type { LabelCap } from '../label-cap.ts'
import { cellOf, createCells } from './cells.ts'

/** A scrape must be able to see what an answer told, though the limit is whole again in a millisecond. */
const knownMsMin = 60_000
const knownMsMax = 24 * 3600 * 1000

type Reading = ReturnType<Meter['reading']>

interface Told {
  readonly readings: { limit?: Reading; remaining?: Reading; reset?: Reading }
  resetAt: number | undefined
  knownUntil: number
}

export interface RateLimitsOptions {
  /** Limits that are known at once; those beyond are counted as overflow of the label `rate_limit`. */
  readonly seriesMax: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export function createRateLimits(meter: Meter, cap: LabelCap, { seriesMax, now }: RateLimitsOptions) {
  const known = new Map<string, Told>()
  const refusals = createCells<Counter>()
  const waits = createCells<Histogram>()

  function tell(labels: Labels, key: string, { limit, remaining, resetMs }: RateLimit, toldAt: number): void {
    let told = known.get(key)
    if (told === undefined) {
      if (known.size >= seriesMax) {
        meter.counter('tokenweir.label_overflow', { label: 'rate_limit' }).add(1)
        return
      }
      known.set(key, (told = { readings: {}, resetAt: undefined, knownUntil: 0 }))
    }
    const { readings } = told
    if (limit !== undefined) (readings.limit ??= meter.reading('tokenweir.ratelimit.limit', labels)).set(limit)
    if (remaining !== undefined) (readings.remaining ??= meter.reading('tokenweir.ratelimit.remaining', labels)).set(remaining)
    if (resetMs !== undefined) readings.reset ??= meter.reading('tokenweir.ratelimit.reset', labels)
    told.resetAt = resetMs === undefined ? told.resetAt : toldAt + resetMs
    told.knownUntil = toldAt + Math.min(knownMsMax, Math.max(knownMsMin, resetMs ?? 0))
  }

  // What was left when an answer came is not known any more once the limit has been renewed.
  meter.beforeCollect(() => {
    const at = now()
    for (const [key, { readings, resetAt, knownUntil }] of known) {
      if (resetAt !== undefined) readings.reset?.set(Math.max(0, (resetAt - at) / 1000))
      if (knownUntil > at) continue
      for (const reading of Object.values(readings)) reading.forget()
      known.delete(key)
    }
  })

  return (exchange: Exchange, provider: string | undefined, caller: string | undefined): void => {
    const { rateLimits, retryAfterMs, opening, ending } = exchange
    const isRefused = ending.status === 429
    if (rateLimits === undefined && retryAfterMs === undefined && !isRefused) return
    const who = { 'gen_ai.provider.name': provider, caller }
    if (isRefused) cellOf(refusals, [provider, caller], () => meter.counter('tokenweir.ratelimit.refusals', who)).add(1)
    if (retryAfterMs !== undefined) {
      cellOf(waits, [provider, caller], () => meter.histogram('tokenweir.ratelimit.retry_after', who)).record(retryAfterMs / 1000)
    }
    if (rateLimits === undefined) return
    const model = exchange.request?.model
    // Numbers of two limits under one name would be those of neither.
    if (caller !== exchange.caller || (model !== undefined && !cap.has('gen_ai.request.model', model))) return
    for (const limit of rateLimits) {
      const kind = cap.value('rate_limit', limit.kind)
      if (kind !== limit.kind) continue
      const labels = { 'gen_ai.provider.name': provider, 'gen_ai.request.model': model, rate_limit: kind, caller }
      tell(labels, `${provider}\n${caller}\n${model}\n${kind}`, limit, opening.startedAt + (ending.responseHeadMs ?? ending.endMs))
    }
  }
}
