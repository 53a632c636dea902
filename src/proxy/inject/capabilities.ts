/**
 * What is known of upstreams: whether they send usage unasked, and what they make of an injected `stream_options`. Remembered across restarts, in a small
 * file beside the ledger.
 */
import { readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'

/** Of an upstream's path and model. `suspect`: an injected request got no definite answer. `failing`: the plain request failed as well. */
export type Injection = 'accepted' | 'refused' | 'suspect' | 'failing'

/** Of an upstream's path. */
interface Unasked {
  /** Plain streams that were seen to their end. */
  plain: number
  /** The last of them had usage. */
  sends: boolean
  /** When the last plain stream was let through. Milliseconds since the epoch. */
  at: number
}

export interface Capabilities {
  /** `undefined` when it is not known, or known no longer. */
  injection(key: string): Injection | undefined
  learn(key: string, injection: Injection | undefined): void
  /** Whether usage comes unasked; `undefined` while that is not known, or when it is time to look again. Each call that gives undefined lets one through. */
  unasked(place: string): boolean | undefined
  /** A plain stream has ended. */
  saw(place: string, hasUsage: boolean): void
  /** Resolves when what was learnt last is kept too. For the stop. */
  close(): Promise<void>
}

/** Paths and models come from clients, so the memory is bounded: the entry not used for longest goes. */
const entriesMax = 4096
/** An upstream that refused is asked again after this long: gateways are upgraded. */
const refusalMsMax = 60 * 60 * 1000
/** Plain streams that have to be seen to their end first: a single one could be answered by the one deployment that is different. */
const plainMin = 2
/** After that, one plain stream in this time keeps knowing. */
const lookAgainMs = 24 * 60 * 60 * 1000
const saveMs = 1000

export interface Memory {
  readonly file: string
  /** A line for stderr. */
  readonly report: (line: string) => void
}

/** `now` in milliseconds since the epoch. Without `memory` nothing outlives the process. */
export function createCapabilities(now: () => number, memory?: Memory): Capabilities {
  const injections = new Map<string, { readonly injection: Injection; readonly since: number }>()
  const places = new Map<string, Unasked>()
  /** Until what was learnt last is written. */
  let waiting: NodeJS.Timeout | undefined
  let written = Promise.resolve()
  if (memory !== undefined) load(memory)

  function load({ file, report }: Memory): void {
    try {
      const text = JSON.parse(readFileSync(file, 'utf8')) as { injections?: unknown; places?: unknown }
      for (const [key, entry] of entriesOf(text.injections)) if (isInjection(entry)) injections.set(key, entry)
      for (const [key, entry] of entriesOf(text.places)) if (isUnasked(entry)) places.set(key, entry)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      report(`What was known of upstreams could not be read from ${file} (${(error as Error).message}); it is learnt anew.`)
    }
  }

  function save(): void {
    if (memory !== undefined) waiting ??= setTimeout(() => write(memory.file), saveMs).unref()
  }

  function write(file: string): void {
    clearTimeout(waiting)
    waiting = undefined
    const draft = `${file}.${process.pid}`
    const text = JSON.stringify({ injections: [...injections], places: [...places] })
    // Where it cannot be written, all of it is learnt again after the next start.
    written = written
      .then(() => writeFile(draft, text, { mode: 0o600 }))
      .then(() => rename(draft, file))
      .catch(() => undefined)
  }

  return {
    injection(key) {
      const entry = injections.get(key)
      if (entry === undefined) return undefined
      injections.delete(key)
      if (entry.injection === 'refused' && now() - entry.since > refusalMsMax) return undefined
      injections.set(key, entry)
      return entry.injection
    },
    learn(key, injection) {
      const before = injections.get(key)?.injection
      injections.delete(key)
      if (injection !== undefined) put(injections, key, { injection, since: now() })
      if (before !== injection) save()
    },
    unasked(place) {
      const known = places.get(place) ?? { plain: 0, sends: false, at: 0 }
      const isDue = known.plain < plainMin || now() - known.at > lookAgainMs
      if (!isDue) return known.sends
      if (known.plain >= plainMin) {
        put(places, place, { ...known, at: now() })
        save()
      }
      return undefined
    },
    saw(place, hasUsage) {
      const known = places.get(place)
      const plain = Math.min(plainMin, (known?.plain ?? 0) + 1)
      put(places, place, { plain, sends: hasUsage, at: now() })
      // Where usage comes unasked every stream is seen, and nearly none says anything new.
      if (plain !== known?.plain || hasUsage !== known.sends) save()
    },
    close() {
      if (memory !== undefined && waiting !== undefined) write(memory.file)
      return written
    },
  }
}

function put<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  if (map.size > entriesMax) map.delete(map.keys().next().value as string)
}

function entriesOf(value: unknown): readonly (readonly [string, unknown])[] {
  if (!Array.isArray(value)) throw new Error('it is not in the form of such a file')
  return value.filter((entry): entry is [string, unknown] => Array.isArray(entry) && typeof entry[0] === 'string').slice(-entriesMax)
}

function isInjection(value: unknown): value is { injection: Injection; since: number } {
  const { injection, since } = (value ?? {}) as { injection?: unknown; since?: unknown }
  return ['accepted', 'refused', 'suspect', 'failing'].includes(injection as string) && typeof since === 'number'
}

function isUnasked(value: unknown): value is Unasked {
  const { plain, sends, at } = (value ?? {}) as Partial<Unasked>
  return typeof plain === 'number' && typeof sends === 'boolean' && typeof at === 'number'
}
