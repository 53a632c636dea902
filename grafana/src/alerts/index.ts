import type { Recording } from '../recordings.ts'
import { type Alert, type AlertOptions, type Making, shipped } from './alert.ts'
import type { Counts } from './counts.ts'
import { settingsAlerts } from './settings.ts'
import { telemetryAlerts } from './telemetry.ts'
import { trafficAlerts } from './traffic.ts'
import { priceAlerts, usageAlerts } from './usage.ts'

export interface Group {
  readonly name: string
  readonly alerts: readonly Alert[]
  /** To be recorded before the alerts of the group are evaluated; none with counts in place. */
  readonly recordings: readonly Recording[]
}

const makers: Readonly<Record<string, (making: Making) => Alert[]>> = {
  usage: usageAlerts,
  price: priceAlerts,
  traffic: trafficAlerts,
  settings: settingsAlerts,
  telemetry: telemetryAlerts,
}

/** Every alert, with durations multiplied by `scale`: `alertGroups(inlineCounts(), { scale: 1 / 60 })`. */
export function alertGroups(counts: Counts, options: Partial<AlertOptions> = {}): readonly Group[] {
  const all = { ...shipped, ...options }
  const making: Making = { ...all, counts, seconds: (real) => Math.max(1, Math.round(real * all.scale)) }
  return Object.entries(makers).map(([name, make]) => {
    const alerts = make(making)
    return { name, alerts, recordings: counts.take() }
  })
}
