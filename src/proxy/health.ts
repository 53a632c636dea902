/**
 * Counts what upstreams do: successes, failures by reason, the time to connect. A request costs one comparison and one reading of the clock. Nothing is
 * decided by it: a request goes to an upstream that failed a moment ago all the same.
 */
import type { UnreachableReason } from '../lib/exchange.ts'
import { type FailureReason, type ProbeResult, type UpstreamChange, type UpstreamState, upstreamLabel } from '../lib/upstream-health.ts'
import { isLack } from './descriptors.ts'
import { errorCode, unreachableReason } from './failures.ts'

/** One upstream's. */
export interface UpstreamHealth {
  /** A response has begun, or an upgrade was accepted. */
  answered(status: number): void
  /** No response came, or it broke off. */
  failed(error: Error): void
  connected(ms: number): void
  probed(result: ProbeResult, ms: number): void
}

export interface HealthOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Upper bounds of the buckets of the time to connect, in seconds, ascending. */
  readonly connectBuckets: readonly number[]
}

export interface Health {
  /** Those of these origins are kept from now on, and all others forgotten. */
  use(origins: readonly string[]): void
  of(origin: string): UpstreamHealth
  states(): readonly UpstreamState[]
  /** What happened since the last call; empty when nothing did. */
  changes(): readonly UpstreamChange[]
}

/** Words that operators know from other proxies. */
const words: Readonly<Partial<Record<UnreachableReason, FailureReason>>> = { connect: 'refused', closed: 'reset' }
/** Of the client's or our own making. */
const notUpstreams: ReadonlySet<string> = new Set(['STOPPED', 'REQUEST_CUT', 'REQUEST_LENGTH'])

/** Undefined where it is not the upstream that failed. */
export function failureReason(error: Error): FailureReason | undefined {
  if (notUpstreams.has(errorCode(error)) || isLack(error)) return undefined
  const reason = unreachableReason(error)
  return words[reason] ?? (reason as FailureReason)
}

export function createHealth(options: HealthOptions): Health {
  let known = new Map<string, Account>()
  return {
    use(origins) {
      known = new Map(origins.map((origin) => [origin, known.get(origin) ?? new Account(origin, options)]))
    },
    // Of an origin that no route has any more, nobody is told.
    of: (origin) => known.get(origin) ?? new Account(origin, options),
    states: () => [...known.values()].map((account) => account.state()),
    changes: () => [...known.values()].flatMap((account) => account.change() ?? []),
  }
}

class Account implements UpstreamHealth {
  readonly #origin: string
  readonly #options: HealthOptions
  #lastSuccessAt: number | undefined
  #lastFailure: { readonly at: number; readonly reason: FailureReason } | undefined
  readonly #failures = new Map<FailureReason, number>()
  #connects = 0
  #connectMs = 0
  #connectMsMax = 0
  #probe: { readonly at: number; readonly result: ProbeResult; readonly ms: number } | undefined
  /** What has not been told yet. */
  #isChanged = false
  #newFailures: Partial<{ [reason in FailureReason]: number }> = {}
  #newConnects: number[]
  #newProbes: Partial<{ [result in ProbeResult]: number }> = {}

  constructor(origin: string, options: HealthOptions) {
    this.#origin = origin
    this.#options = options
    this.#newConnects = this.#noConnects()
  }

  answered(status: number): void {
    if (status >= 500) this.#fail('5xx')
    else this.#lastSuccessAt = this.#options.now()
    this.#isChanged = true
  }

  failed(error: Error): void {
    const reason = failureReason(error)
    if (reason !== undefined) this.#fail(reason)
  }

  #fail(reason: FailureReason): void {
    this.#lastFailure = { at: this.#options.now(), reason }
    this.#failures.set(reason, (this.#failures.get(reason) ?? 0) + 1)
    this.#newFailures[reason] = (this.#newFailures[reason] ?? 0) + 1
    this.#isChanged = true
  }

  connected(ms: number): void {
    this.#connects++
    this.#connectMs += ms
    this.#connectMsMax = Math.max(this.#connectMsMax, ms)
    const found = this.#options.connectBuckets.findIndex((bound) => ms / 1000 <= bound)
    const bucket = found < 0 ? this.#options.connectBuckets.length : found
    this.#newConnects[bucket] = (this.#newConnects[bucket] ?? 0) + 1
    this.#isChanged = true
  }

  probed(result: ProbeResult, ms: number): void {
    this.#probe = { at: this.#options.now(), result, ms }
    this.#newProbes[result] = (this.#newProbes[result] ?? 0) + 1
    this.#isChanged = true
  }

  state(): UpstreamState {
    const [success, failure, probe, count] = [this.#lastSuccessAt, this.#lastFailure, this.#probe, this.#connects]
    return {
      upstream: this.#origin,
      lastSuccess: success === undefined ? undefined : iso(success),
      lastFailure: failure && { ...failure, at: iso(failure.at) },
      failures: Object.fromEntries(this.#failures),
      connect: count === 0 ? undefined : { count, meanMs: rounded(this.#connectMs / count), maxMs: rounded(this.#connectMsMax) },
      probe: probe && { ...probe, at: iso(probe.at), ms: rounded(probe.ms) },
    }
  }

  change(): UpstreamChange | undefined {
    if (!this.#isChanged) return undefined
    const change = {
      upstream: upstreamLabel(new URL(this.#origin)),
      lastSuccessAt: this.#lastSuccessAt,
      ...{ failures: this.#newFailures, connects: this.#newConnects, probes: this.#newProbes },
    }
    this.#isChanged = false
    this.#newFailures = {}
    this.#newConnects = this.#noConnects()
    this.#newProbes = {}
    return change
  }

  #noConnects(): number[] {
    return new Array<number>(this.#options.connectBuckets.length + 1).fill(0)
  }
}

const iso = (ms: number) => new Date(ms).toISOString()
const rounded = (ms: number) => Math.round(ms * 1000) / 1000
