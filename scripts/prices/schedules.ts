/** Peak and off-peak hours, and the holidays on which they do not hold, from model-prices. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Holidays, PriceFile, Schedule } from '../../src/config/price-file.ts'

interface TheirSchedule {
  readonly provider: string
  readonly valid_from: string
  readonly valid_until?: string
  readonly source: string
  readonly holidays?: string
  readonly weekdays_only?: boolean
  readonly peak_hours_utc?: readonly [string, string][]
  readonly peak_multiplier?: number | Readonly<Record<string, number>>
  readonly off_peak_hours_utc?: readonly [string, string][]
  readonly off_peak_multiplier?: number | Readonly<Record<string, number>>
}

export function readSchedules(folder: string): Pick<PriceFile, 'schedules' | 'holidays'> {
  const { schedules } = JSON.parse(readFileSync(join(folder, 'model_prices/snapshot.json'), 'utf8')) as {
    readonly schedules: {
      readonly schedule: readonly TheirSchedule[]
      readonly holidays: Readonly<
        Record<string, { covers_through: string; dates: readonly string[]; utc_offset_hours: number; source: string }>
      >
    }
  }
  const holidays = Object.entries(schedules.holidays).map(([name, of]): [string, Holidays] => [
    name,
    { utcOffsetHours: of.utc_offset_hours, coversThrough: of.covers_through, dates: of.dates, source: of.source },
  ])
  return { schedules: schedules.schedule.flatMap(scheduleOf), holidays: Object.fromEntries(holidays) }
}

function scheduleOf(their: TheirSchedule): readonly Schedule[] {
  const hours = (their.peak_hours_utc ?? their.off_peak_hours_utc ?? []).map(([begin, end]) => [minuteOf(begin), minuteOf(end)] as const)
  const factor = their.peak_multiplier ?? their.off_peak_multiplier ?? 1
  const base = {
    provider: their.provider,
    from: their.valid_from,
    ...(their.valid_until === undefined ? {} : { until: their.valid_until }),
    hours,
    ...(their.weekdays_only === true ? { weekdaysOnly: true } : {}),
    ...(their.holidays === undefined ? {} : { holidays: their.holidays }),
    source: their.source,
  }
  if (typeof factor === 'number') return [{ ...base, factor }]
  return Object.entries(factor).map(([name, of]) => ({ ...base, names: [name.toLowerCase()], factor: of }))
}

function minuteOf(time: string): number {
  const [hours = 0, minutes = 0] = time.split(':').map(Number)
  return hours * 60 + minutes
}
