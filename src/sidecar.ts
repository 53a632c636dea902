/** The composition root: starts and stops the sidecar, and with `forwarding.ts` is all that knows every room. */

import { type Peer, startFront } from './admin/front.ts'
import type { AdminServer } from './admin/server.ts'
import type { Config } from './config/config.ts'
import { labelNeeds } from './config/labels.ts'
import { createForwarding } from './forwarding.ts'
import { cellCount, watchTerminal } from './lib/shared-counters.ts'
import { createCallers } from './proxy/caller/callers.ts'
import { createLack, placesMax } from './proxy/descriptors.ts'
import { listen } from './proxy/listener.ts'
import { createShutdown } from './proxy/shutdown.ts'
import { createUpstreams } from './proxy/upstreams.ts'
import { RecorderLink } from './recorder/link.ts'
import { startRecorder } from './recorder/start-thread.ts'

export interface Running {
  /** Ports really bound: of use when 0 was asked for. */
  readonly port: number
  readonly adminPort: number
  /**
   * Stops accepting, lets open exchanges finish within the grace, then ends them; resolves when every record is written, with how many are lost.
   * Called again, it ends them at once, and waits for no export.
   */
  stop(): Promise<{ readonly lostRecords: number }>
}

/** Starts the sidecar. Rejects with the sentence that mends it: a port in use, a ledger that cannot be written. `report` gets the operator's sentences. */
export async function start(config: Config, report: (message: string) => void): Promise<Running> {
  const cells = new Int32Array(new SharedArrayBuffer(cellCount * Int32Array.BYTES_PER_ELEMENT))
  const unwatch = watchTerminal(process.stdout, cells)
  const recorder = new RecorderLink({ start: (restarted) => startRecorder(config, cells, restarted), cells, report })
  const lacking = createLack(cells, report)
  const upstreams = createUpstreams(config.routes, { ...config.timeouts, headerBytes: config.limits.headerBytes })
  let unready: string | undefined = 'The proxy port does not listen yet.'
  let admin: AdminServer | undefined
  try {
    const callers = await createCallers({
      ...{ sources: config.caller, ledger: config.ledger, claims: labelNeeds(config.labels).claims, cells, report },
    }).catch(async (error) => {
      await recorder.ready // where the ledger cannot be written either, it says so better
      throw error
    })
    const forwarder = createForwarding({ config, report, cells, lacking, records: recorder, upstreams, callers })
    const front = { unready: () => unready, records: () => recorder.state(), connect: (peer: Peer) => recorder.connect(peer), report }
    const opened = await startFront({ address: config.admin, ...front })
    admin = opened
    const { listen: address, limits } = config
    const listener = await listen({ address, forwarder, cells, lacking, headerBytesMax: limits.headerBytes, placesMax: placesMax() })
    await recorder.ready.catch((error) => {
      listener.destroyConnections()
      throw error
    })
    unready = undefined
    let lostRecords = 0
    const stop = createShutdown({
      stopAccepting: () => {
        unready = 'It is stopping: the proxy port does not listen any more.'
        return listener.close()
      },
      cut: () => {
        forwarder.cutAll()
        listener.destroyConnections()
      },
      finish: async () => {
        lostRecords = await recorder.close(config.timeouts.flushMs)
        upstreams.destroy()
        await opened.close()
        unwatch()
      },
      hurry: () => recorder.hurry(),
      graceMs: config.timeouts.graceMs,
    })
    return { port: listener.port, adminPort: opened.port, stop: async () => stop().then(() => ({ lostRecords })) }
  } catch (error) {
    await Promise.all([recorder.close(0), admin?.close()])
    unwatch()
    throw error
  }
}
