/** The composition root: starts and stops the sidecar, and with `forwarding.ts` is all that knows every room. */

import type { Config } from './config/config.ts'
import { labelNeeds } from './config/labels.ts'
import { createForwarding } from './forwarding.ts'
import { Cell, cellCount } from './lib/shared-counters.ts'
import { createCallers } from './proxy/caller/callers.ts'
import { beat } from './proxy/heartbeat.ts'
import { listen } from './proxy/listener.ts'
import { createShutdown } from './proxy/shutdown.ts'
import { createUpstreams } from './proxy/upstreams.ts'
import { RecorderLink } from './recorder/link.ts'
import { startRecorder } from './recorder/start-thread.ts'

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
    const callers = await createCallers({
      ...{ sources: config.caller, ledger: config.ledger, claims: labelNeeds(config.labels).claims, cells, report },
    }).catch(async (error) => {
      await recorder.ready // where the ledger cannot be written either, it says so better
      throw error
    })
    const forwarder = createForwarding({ config, report, cells, records: recorder, upstreams, callers })
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
