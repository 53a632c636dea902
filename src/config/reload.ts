/** Reads the configuration again while the sidecar runs: what has changed, what takes effect, what needs a restart, what is wrong. */
import { Cell } from '../lib/shared-counters.ts'
import { type Config, contradictionsIn, describeError } from './config.ts'
import type { Reloaded } from './load-aside.ts'

export interface ReloadAnswer {
  /** `refused`: something is wrong, and nothing was changed. */
  readonly result: 'applied' | 'unchanged' | 'refused'
  /** Settings whose new value is in effect now, and files that were read again. */
  readonly changed: readonly string[]
  /** Settings that differ from what is in effect, and take effect at the next start. */
  readonly needsRestart: readonly string[]
  /** As sentences; those that a start would print. */
  readonly problems: readonly string[]
}

/** How the configuration in effect came to be, for `/readyz` and the page. */
export interface ReloadState {
  /** The last reading of it was refused. */
  readonly ok: boolean
  readonly problems: readonly string[]
  readonly needsRestart: readonly string[]
  /** When the settings in effect were read. ISO 8601. */
  readonly readAt: string
}

export interface ReloadSources {
  /** Reads and validates the sources of the start once more. */
  readonly load: () => Promise<Reloaded>
  /** What else is read at the start only, and has changed since. */
  readonly stale: () => readonly string[]
}

export interface ReloadOptions extends ReloadSources {
  /** In effect since the start. */
  readonly config: Config
  /** Where it really listens: the system may have chosen the ports. */
  readonly bound: () => Pick<Config, 'listen' | 'admin'>
  /** Puts it into effect, and gives the files that were read again. Where it rejects, nothing is changed. */
  readonly apply: (config: Config) => Promise<readonly string[]>
  /** A sentence for the operator. */
  readonly report: (sentence: string) => void
  /** See `Cell`. */
  readonly cells: Int32Array
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface Reloading {
  /** Never rejects. One at a time; those who ask while one waits for its turn get that one's answer. */
  reload(): Promise<ReloadAnswer>
  state(): ReloadState
}

const resultCells = { applied: Cell.reloadsApplied, unchanged: Cell.reloadsUnchanged, refused: Cell.reloadsRefused } as const

/** Settings that can change while the sidecar runs. Any other is read at the start only: ports are bound, files open, instruments named. */
const reloadable: ReadonlySet<string> = new Set([
  ...[
    'capture',
    'requestIdHeader',
    'logFormat',
    'trace',
    'caller',
    'callerNames',
    'callerNamesFile',
    'labels',
    'routes',
    'providers',
    'timeouts',
    'limits',
    'retention',
  ],
  ...['prices', 'pricesFile', 'budgets', 'estimates', 'adminToken', 'traceUrl'],
])
/** Of them, the parts that cannot. */
const fixedParts: ReadonlySet<string> = new Set(['limits.headerBytes', 'limits.labelValues'])
/** Settings that have parts. */
const sections: ReadonlySet<string> = new Set(['timeouts', 'limits', 'retention', 'estimates'])

export function createReload({ config, bound, load, stale, apply, report, cells, now }: ReloadOptions): Reloading {
  let current = config
  let state: ReloadState = { ok: true, problems: [], needsRestart: [], readAt: new Date(now()).toISOString() }
  tellReadAt(state.readAt)
  let last: Promise<unknown> = Promise.resolve()
  let waiting: Promise<ReloadAnswer> | undefined

  async function attempt(): Promise<ReloadAnswer> {
    const readAt = new Date(now()).toISOString()
    try {
      const loaded = await load()
      if ('errors' in loaded) return refused(loaded.errors.map(describeError))
      const { config: next, changed, needsRestart } = merged(current, loaded.config)
      // The addresses in effect may be others than those that were validated with the routes.
      const contradictions = contradictionsIn({ ...next, ...bound() })
      if (contradictions.length > 0) return refused(contradictions.map(describeError))
      const files = await apply(next)
      current = next
      const all = [...changed, ...files]
      state = { ok: true, problems: [], needsRestart: [...needsRestart, ...stale()], readAt }
      tellReadAt(readAt)
      return { result: all.length > 0 ? 'applied' : 'unchanged', changed: all, needsRestart: state.needsRestart, problems: [] }
    } catch (error) {
      return refused([error instanceof Error ? error.message : String(error)])
    }
  }

  function refused(problems: readonly string[]): ReloadAnswer {
    state = { ...state, ok: false, problems }
    return { result: 'refused', changed: [], needsRestart: state.needsRestart, problems }
  }

  function tellReadAt(readAt: string): void {
    Atomics.store(cells, Cell.configReadAt, Math.floor(Date.parse(readAt) / 1000))
  }

  async function inTurn(): Promise<ReloadAnswer> {
    waiting = undefined
    const answer = await attempt()
    Atomics.add(cells, resultCells[answer.result], 1)
    Atomics.store(cells, Cell.configRefused, answer.result === 'refused' ? 1 : 0)
    for (const sentence of describeReload(answer)) report(sentence)
    return answer
  }

  return {
    reload() {
      if (waiting === undefined) last = waiting = last.then(inTurn)
      return waiting
    },
    state: () => state,
  }
}

/** What is in effect after a reload: the new settings, with those of before where they cannot change. */
function merged(current: Config, next: Config): Pick<ReloadAnswer, 'changed' | 'needsRestart'> & { readonly config: Config } {
  const result: Record<string, unknown> = { ...next }
  const changed: string[] = []
  const needsRestart: string[] = []
  for (const key of new Set([...Object.keys(current), ...Object.keys(next)]) as Set<keyof Config>) {
    if (isSame(current[key], next[key])) continue
    if (sections.has(key)) result[key] = mergedSection(key, partsOf(current[key]), partsOf(next[key]), { changed, needsRestart })
    else if (reloadable.has(key)) changed.push(key)
    else {
      needsRestart.push(key)
      result[key] = current[key]
    }
  }
  return { config: result as unknown as Config, changed, needsRestart }
}

type Parts = Readonly<Record<string, unknown>>
const partsOf = (section: unknown) => section as Parts

function mergedSection(name: string, current: Parts, next: Parts, lists: { changed: string[]; needsRestart: string[] }): Parts {
  const result = { ...next }
  for (const [part, value] of Object.entries(next)) {
    if (isSame(current[part], value)) continue
    const key = `${name}.${part}`
    const isFixed = fixedParts.has(key)
    lists[isFixed ? 'needsRestart' : 'changed'].push(key)
    if (isFixed) result[part] = current[part]
  }
  return result
}

/** URLs are compared by their text. */
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** One sentence for each problem, and one that says what is in effect. */
export function describeReload({ result, changed, needsRestart, problems }: ReloadAnswer): readonly string[] {
  if (result === 'refused') return [...problems, 'The settings were not changed: those of before stay in effect.']
  const effect = result === 'unchanged' ? 'nothing has changed' : `in effect now: ${changed.join(', ')}`
  const restart = needsRestart.length === 0 ? '' : ` Needs a restart: ${needsRestart.join(', ')}.`
  return [`The settings were read again; ${effect}.${restart}`]
}
