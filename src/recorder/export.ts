/**
 * Export over OTLP, loaded after the recorder is ready: the SDK and its exporters take as long to import as everything else together.
 * Metrics lose nothing by that, their cells exist from the start; exchanges wait here until spans can be built of them.
 */
import { createHeldSink } from '../sinks/held.ts'
import type { Sink } from '../sinks/sink.ts'
import type { Generation } from '../telemetry/catalog.ts'
import { type Environment, planTelemetry, type TelemetryPlan } from '../telemetry/environment.ts'
import type { Meter } from '../telemetry/meter.ts'

export interface ExportOptions {
  /** The exporters read `process.env` for themselves, so this is normally that. */
  readonly env: Environment
  readonly meter: Meter
  readonly generation: Generation
  /** `service.version`. */
  readonly version: string
  /** A line for stderr. */
  readonly report: (line: string) => void
}

export interface Export {
  /** One sink when spans are to be exported, else none. */
  readonly sinks: readonly Sink[]
  /** Loads what the variables ask for. */
  begin(): void
  /** Exports what waits. Resolves always, with a sentence for each thing that could not be exported. */
  shutdown(): Promise<readonly string[]>
}

interface Loaded {
  readonly spans: Sink | undefined
  shutdown(): Promise<readonly string[]>
}

export function createExport(options: ExportOptions): Export {
  const plan = planTelemetry(options.env)
  for (const problem of plan.problems) options.report(problem)
  let loading: Promise<Loaded> | undefined
  const spans = createHeldSink({ name: 'span', exchangesMax: plan.spanQueue.maxQueueSize, meter: options.meter })
  return {
    sinks: plan.traces.length === 0 ? [] : [spans],
    begin() {
      if (plan.traces.length === 0 && plan.metrics.length === 0) return
      loading = load(plan, options)
      loading.then(
        (loaded) => spans.release(loaded.spans),
        (error) => {
          spans.release(undefined)
          options.report(`Nothing is exported: OpenTelemetry could not be loaded (${error instanceof Error ? error.message : error}).`)
        },
      )
    },
    async shutdown() {
      const loaded = await loading?.catch(() => undefined)
      return loaded === undefined ? [] : loaded.shutdown()
    },
  }
}

async function load(plan: TelemetryPlan, { meter, generation, version, report }: ExportOptions): Promise<Loaded> {
  const [{ createTelemetry }, { createSpanSink }] = await Promise.all([import('../telemetry/sdk.ts'), import('../sinks/span.ts')])
  const { spans, shutdown } = await createTelemetry({ plan, meter, version, report })
  return { spans: spans === undefined ? undefined : createSpanSink(spans, generation), shutdown }
}
