/** The composition root: the only file that knows all the others. */

import { createAttributor } from './conclude/providers/attribution.ts'
import type { Config } from './config/config.ts'
import { createClock } from './lib/clock.ts'
import { createIds } from './lib/ids.ts'
import { Cell, cellCount } from './lib/shared-counters.ts'
import { createObserve } from './observe/observe.ts'
import { createCallers } from './proxy/caller/callers.ts'
import { createForwarder } from './proxy/forwarder.ts'
import { beat } from './proxy/heartbeat.ts'
import { createCapabilities } from './proxy/inject/capabilities.ts'
import { createUsageInjector } from './proxy/inject/editor.ts'
import { listen } from './proxy/listener.ts'
import type { Callers } from './proxy/opening.ts'
import { createShutdown } from './proxy/shutdown.ts'
import { createUpstreams, type Upstreams } from './proxy/upstreams.ts'
import { RecorderLink } from './recorder/link.ts'
import { startRecorder } from './recorder/start-thread.ts'
import { overheadBucketsMicros } from './telemetry/catalog.ts'

export interface Running {
  /** Ports really bound: of use when 0 was asked for. */
  readonly port: number
  readonly adminPort: number
  /** Stops accepting, lets open exchanges finish within the grace, then ends them; resolves when every record is written. Called again, it ends them at once, and waits for no export. */
  stop(): Promise<void>
}

/** Starts the sidecar. Rejects with the sentence that mends it: a port in use, a ledger that cannot be written. `report` gets the operator's sentences. */
export async function start(config: Config, report: (message: string) => void): Promise<Running> {
  const cells = new Int32Array(new SharedArrayBuffer(cellCount * Int32Array.BYTES_PER_ELEMENT))
  const recorder = new RecorderLink({ start: (again) => startRecorder(config, cells, again), cells, report })
  const upstreams = createUpstreams(config.routes, { ...config.timeouts, headerBytes: config.limits.headerBytes })
  try {
    const callers = await createCallers({ sources: config.caller, ledger: config.ledger, cells }).catch(async (error) => {
      await recorder.ready // where the ledger cannot be written either, it says so better
      throw error
    })
    const forwarder = createForwarding(config, cells, recorder, upstreams, callers)
    const listener = await listen({ address: config.listen, forwarder, cells, headerBytesMax: config.limits.headerBytes })
    const { adminPort } = await recorder.ready.catch((error) => {
      listener.destroyConnections()
      throw error
    })
    const heart = beat(cells)
    Atomics.store(cells, Cell.listening, 1)
    const stop = createShutdown({
      stopAccepting: () => {
        Atomics.store(cells, Cell.listening, 0)
        return listener.close()
      },
      cut: () => {
        forwarder.cutAll()
        listener.destroyConnections()
      },
      finish: async () => {
        await recorder.close(config.timeouts.flushMs)
        upstreams.destroy()
        clearInterval(heart)
      },
      hurry: () => recorder.hurry(),
      graceMs: config.timeouts.graceMs,
    })
    return { port: listener.port, adminPort, stop }
  } catch (error) {
    await recorder.close(0)
    throw error
  }
}

function createForwarding(config: Config, cells: Int32Array, records: RecorderLink, upstreams: Upstreams, callers?: Callers) {
  const clock = createClock()
  const { requestHeaders, responseHeaders } = createAttributor({ own: config.providers })
  const observe = createObserve({
    records,
    clock,
    cells,
    overheadBucketsMicros,
    observedHeaders: new Set(responseHeaders),
    bodyBytesMax: config.limits.bodyBytes,
    messageBytesMax: config.limits.messageBytes,
    estimates: config.estimates.enabled,
  })
  const observedHeaders = new Set(requestHeaders)
  const drain = { msMax: config.timeouts.drainMs, bytesMax: config.limits.drainBytes }
  const editor = config.capture === 'inject' ? createUsageInjector(createCapabilities(clock.now)) : undefined
  return createForwarder(config.routes, {
    upstreamOf: upstreams.of,
    observe,
    editor,
    drain,
    clock,
    ids: createIds(),
    cells,
    observedHeaders,
    callers,
  })
}
