/** The Prometheus text of a meter, as `/metrics` gives it: the names that dashboards and alerts use. */
import type { Meter } from '../../src/telemetry/meter.ts'
import { prometheusText } from '../../src/telemetry/prometheus.ts'

/** `{ 'name{labels}': value }` of the samples whose name begins with `prefix`. */
export function samples(meter: Meter, prefix = ''): Record<string, number> {
  const lines = prometheusText(meter.collect())
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#') && line.startsWith(prefix))
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]))
}
