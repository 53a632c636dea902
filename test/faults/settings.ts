/** How long and how hard, and the seed: printed, and by `TOKENWEIR_FAULT_SEED` the same again. */

function setting(name: string, usual: number): number {
  const text = process.env[`TOKENWEIR_FAULT_${name}`]
  if (text === undefined || text === '') return usual
  const value = Number(text)
  if (!Number.isFinite(value) || value < 0) throw new Error(`TOKENWEIR_FAULT_${name}: ${JSON.stringify(text)} is no number of 0 or more.`)
  return value
}

export const settings = {
  seed: setting('SEED', Math.floor(Math.random() * 2 ** 31)),
  /** Rounds of kill -9. */
  rounds: setting('ROUNDS', 12),
  /** How long the collector is absent, in seconds, and how many requests arrive in each of them. */
  outageSeconds: setting('OUTAGE_SECONDS', 8),
  requestsPerSecond: setting('RATE', 100),
  /** How long the disk is full, in seconds. */
  fullSeconds: setting('FULL_SECONDS', 6),
  /** Streams that are open when the signal comes. */
  openStreams: setting('STREAMS', 1000),
  /** How long mixed traffic runs. */
  soakSeconds: setting('SOAK_SECONDS', 45),
  /** Connections that are idle, and how long clients are measured beside hostile ones and without, in seconds each. */
  idleConnections: setting('IDLE', 10_000),
  crowdSeconds: setting('CROWD_SECONDS', 15),
}

export type Random = () => number

/** Numbers of [0, 1), the same for the same seed and name (mulberry32). */
export function createRandom(name: string): Random {
  let state = settings.seed
  for (const character of name) state = Math.imul(state ^ character.charCodeAt(0), 2654435761)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T

/** On stderr, where vitest shows it at once. */
export function say(line: string): void {
  process.stderr.write(`[faults, seed ${settings.seed}] ${line}\n`)
}

/** For what cannot be done on this machine. `skip` is the test's own. */
export function skipLoudly(skip: (note?: string) => void, why: string): void {
  say(`SKIPPED: ${why}`)
  skip(why)
}

/** Asks again until it is so; throws with what it was last. */
export async function until<T>(
  what: string,
  read: () => T | Promise<T>,
  isSo: (value: T) => boolean,
  msMax = 180_000,
  everyMs = 50,
): Promise<T> {
  const from = performance.now()
  for (;;) {
    const value = await read()
    if (isSo(value)) return value
    if (performance.now() - from > msMax) throw new Error(`${what}: not so after ${msMax} ms, but ${JSON.stringify(value)?.slice(0, 2000)}`)
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}
