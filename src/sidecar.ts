/** The composition root: starts and stops the sidecar, and with `forwarding.ts` is all that knows every room. */

import { createChangingAccess } from './admin/access.ts'
import { type Peer, startFront } from './admin/front.ts'
import { reloadRoute } from './admin/reload.ts'
import { type AdminServer, isLoopback } from './admin/server.ts'
import type { Config } from './config/config.ts'
import { createReload, type Reloading, type ReloadSources } from './config/reload.ts'
import { createForwarding } from './forwarding.ts'
import { cellCount, watchTerminal } from './lib/shared-counters.ts'
import { watchCertificates } from './proxy/certificates.ts'
import { createLack } from './proxy/descriptors.ts'
import { listenAll } from './proxy/listeners.ts'
import { createShutdown } from './proxy/shutdown.ts'
import { RecorderLink } from './recorder/link.ts'
import { startRecorder } from './recorder/start-thread.ts'

export interface Running {
  /** Ports really bound: of use when 0 was asked for. */
  readonly port: number
  /** Of `listeners`. */
  readonly morePorts?: readonly number[]
  readonly adminPort: number
  /**
   * Stops accepting, lets open exchanges finish within the grace, then ends them; resolves when every record is written, with how many are lost.
   * Called again, it ends them at once, and waits for no export.
   */
  stop(): Promise<{ readonly lostRecords: number }>
  /** Reads the settings again, and reports what came of it. */
  readonly reload: Reloading['reload']
}

/** Starts the sidecar. Rejects with the sentence that mends it: a port in use, a ledger that cannot be written. `report` gets the operator's sentences. */
export async function start(config: Config, report: (message: string) => void, sources: ReloadSources): Promise<Running> {
  /** In effect now, and where it really listens. */
  let current = config
  let bound: Pick<Config, 'listen' | 'admin'> = config
  const cells = new Int32Array(new SharedArrayBuffer(cellCount * Int32Array.BYTES_PER_ELEMENT))
  const unwatch = watchTerminal(process.stdout, cells)
  const recorder = new RecorderLink({ start: (restarted) => startRecorder(current, cells, restarted), cells, report })
  const lacking = createLack(cells, report)
  let unready: string | undefined = 'The proxy port does not listen yet.'
  let admin: AdminServer | undefined
  try {
    const forwarding = await createForwarding({ config, report, cells, lacking, records: recorder }).catch(async (error) => {
      await recorder.ready // where the ledger cannot be written either, it says so better
      throw error
    })
    const { forwarder, health } = forwarding
    const apply = async (next: Config) => {
      await forwarding.use(next)
      current = next
      return recorder.use(next)
    }
    const { reload, state: configuration } = createReload({ ...sources, config, bound: () => bound, apply, report, cells, now: Date.now })
    const access = createChangingAccess({ token: () => current.adminToken, isLoopback: isLoopback(config.admin.host), now: Date.now })
    const front = { unready: () => unready, records: () => recorder.state(), connect: (peer: Peer) => recorder.connect(peer), report }
    const about = () => ({ configuration: configuration(), upstreams: health.states() })
    const tls = config.adminTls && { ...config.adminTls, certificates: watchCertificates({ files: config.adminTls, cells, report }) }
    const opened = await startFront({ address: config.admin, tls, about, routes: [reloadRoute(access, reload)], ...front })
    admin = opened
    recorder.followUpstreams(health.changes)
    const listener = await listenAll(config, { forwarder, cells, lacking, report })
    const [port = 0, ...morePorts] = listener.ports
    bound = { listen: { ...config.listen, port }, admin: { ...config.admin, port: opened.port } }
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
        lostRecords = await recorder.close(current.timeouts.flushMs)
        await forwarding.close()
        await opened.close()
        unwatch()
      },
      hurry: () => recorder.hurry(),
      graceMs: () => current.timeouts.graceMs,
    })
    return { port, morePorts, adminPort: opened.port, reload, stop: async () => stop().then(() => ({ lostRecords })) }
  } catch (error) {
    await Promise.all([recorder.close(0), admin?.close()])
    unwatch()
    throw error
  }
}
