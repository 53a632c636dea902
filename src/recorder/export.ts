/**
 * Export over OTLP, loaded only where it is asked for, and before the first batch is recorded: a span is made of every row that is committed,
 * in the same commit.
 */

import type { Store } from '../ledger/store.ts'
import type { Sink } from '../sinks/sink.ts'
import type { Generation } from '../telemetry/catalog.ts'
import { type Environment, planTelemetry, type TelemetryPlan } from '../telemetry/environment.ts'
import type { Meter } from '../telemetry/meter.ts'

export interface ExportOptions {
  /** The exporters read `process.env` for themselves, so this is normally that. */
  readonly plan: TelemetryPlan
  readonly meter: Meter
  readonly store: Pick<Store, 'spool' | 'addPacket' | 'instanceId'>
  readonly generation: Generation
  /** `service.version`. */
  readonly version: string
  /** A line for stderr. */
  readonly report: (line: string) => void
}

export interface Export {
  /** For spans and for log records, each where it is to be exported. */
  readonly sinks: readonly Sink[]
  /** Makes packets of what the sinks were given. */
  flush(): void
  /** Exports what waits. Resolves always, with a sentence for each thing that was not exported. */
  shutdown(): Promise<readonly string[]>
}

const nothing: Export = { sinks: [], flush() {}, shutdown: async () => [] }

/** Reads `env` once; says on `report` what could not be used. */
export function planExport(env: Environment, report: (line: string) => void): TelemetryPlan {
  const plan = planTelemetry(env)
  for (const problem of plan.problems) report(problem)
  return plan
}

export async function loadExport(options: ExportOptions): Promise<Export> {
  const { traces, metrics, logs } = options.plan
  if (traces.length === 0 && metrics.length === 0 && logs.length === 0) return nothing
  try {
    return await load(options)
  } catch (error) {
    options.report(`Nothing is exported: OpenTelemetry could not be loaded (${error instanceof Error ? error.message : error}).`)
    return nothing
  }
}

async function load({ plan, meter, store, generation, version, report }: ExportOptions): Promise<Export> {
  const [{ createTelemetry }, { createSpanSink }, { createOtlpLogSink }] = await Promise.all([
    import('../telemetry/sdk.ts'),
    import('../sinks/span.ts'),
    import('../sinks/otlp-log.ts'),
  ])
  const { spool, addPacket } = store
  const telemetry = await createTelemetry({ plan, meter, version, instanceId: store.instanceId(), spool, addPacket, report })
  const sinks: Sink[] = []
  if (telemetry.spans !== undefined) sinks.push(createSpanSink(telemetry.spans, generation))
  if (telemetry.logs !== undefined) sinks.push(createOtlpLogSink(telemetry.logs))
  return { sinks, flush: telemetry.flush, shutdown: telemetry.shutdown }
}
