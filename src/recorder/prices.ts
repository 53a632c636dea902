/** The tables of prices while they are in use: how old they are, and the operator's own read again when its file changes. */
import { statSync } from 'node:fs'
import type { Pricer } from '../conclude/pricing/pricer.ts'
import type { Meter } from '../telemetry/meter.ts'

/** Prices change every few weeks. */
const oldDays = 45
const dayMs = 86_400_000
/** How often the file and the age are looked at. */
const usualLookMs = 10_000

export interface PriceWatch {
  readonly pricer: Pick<Pricer, 'load' | 'date'>
  /** The operator's table. */
  readonly file: string | undefined
  readonly meter: Meter
  /** A line for stderr. */
  readonly report: (line: string) => void
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly lookMs?: number
}

export interface WatchedPrices {
  /** The operator's table from now on, looked at at once. Gives the table that was read. */
  use(file: string | undefined): Promise<readonly string[]>
  stop(): void
}

/** Loads the tables and watches them. Resolves also where they cannot be loaded, which it says; `stop` ends the watch. */
export async function watchPrices({ pricer, file: first, meter, report, now, lookMs = usualLookMs }: PriceWatch): Promise<WatchedPrices> {
  let file = first
  const age = meter.reading('tokenweir.prices.age', {})
  const ageMs = () => Math.max(0, now() - Date.parse(pricer.date() ?? ''))
  let complainedOf: string | undefined
  let seen = changeOf(file)

  function complainWhenOld(): void {
    const days = Math.floor(ageMs() / dayMs)
    if (!(days > oldDays) || complainedOf === pricer.date()) return
    complainedOf = pricer.date()
    report(`The table of prices is ${days} days old: costs may be wrong. Install a newer tokenweir, or name a newer table with pricesFile.`)
  }

  /** Whether a file was read. */
  async function read(): Promise<boolean> {
    seen = changeOf(file)
    try {
      await pricer.load()
      return file !== undefined
    } catch (error) {
      report(`The table of prices ${file} cannot be used (${reasonOf(error)}). The one before stays in effect.`)
      return false
    }
  }

  async function readWhenChanged(): Promise<void> {
    if (changeOf(file) !== seen && (await read())) report(`The table of prices ${file} was read again.`)
  }

  meter.beforeCollect(() => {
    if (pricer.date() !== undefined) age.set(Math.floor(ageMs() / 1000))
  })
  await pricer.load().catch((error) => report(`Nothing is priced by the table of prices: it could not be loaded (${reasonOf(error)}).`))
  complainWhenOld()
  const timer = setInterval(() => {
    void readWhenChanged()
    complainWhenOld()
  }, lookMs).unref()
  return {
    async use(next) {
      if (next === file && changeOf(file) === seen) return []
      file = next
      return (await read()) && file !== undefined ? [file] : []
    },
    stop: () => clearInterval(timer),
  }
}

/** Differs when the file does; undefined while there is none. */
export function changeOf(file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  try {
    const { mtimeMs, size, ino } = statSync(file)
    return `${mtimeMs} ${size} ${ino}`
  } catch {
    return undefined
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
