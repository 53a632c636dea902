/** What most scenarios begin with: a gateway, a sidecar in front of it, a collector, clients. */
import { statSync } from 'node:fs'
import { onTestFinished } from 'vitest'
import { type Collector, createOwnCollector, type OwnCollector } from './collector.ts'
import { type Clients, createClients } from './load.ts'
import { until } from './settings.ts'
import { createSidecar, type Sidecar, type SidecarOptions } from './sidecar.ts'
import { startUpstream, type Upstream } from './upstream.ts'

export interface Scene {
  readonly upstream: Upstream
  readonly sidecar: Sidecar
  readonly clients: Clients
}

export async function createScene(options: Omit<SidecarOptions, 'upstream'> = {}): Promise<Scene> {
  const upstream = await startUpstream()
  onTestFinished(upstream.stop)
  const clients = createClients()
  onTestFinished(clients.close)
  return { upstream, clients, sidecar: createSidecar({ upstream: upstream.url, ...options }) }
}

/** Running, with a collector that takes everything. */
export async function startScene(options: Omit<SidecarOptions, 'upstream'> = {}): Promise<Scene & { readonly collector: OwnCollector }> {
  const scene = await createScene(options)
  const collector = await createOwnCollector(scene.sidecar.folder)
  await collector.start()
  await scene.sidecar.start(collector.env)
  scene.clients.aim(scene.sidecar.url)
  return { ...scene, collector }
}

const drainMsMax = 300_000

/** Until the collector has everything. */
export async function drained({ sidecar }: Pick<Scene, 'sidecar'>, { files }: Collector): Promise<void> {
  const waiting = async () =>
    sidecar.rows(`SELECT count(*) AS records FROM exchanges WHERE end_reason IS NOT NULL
      AND rowid > ifnull((SELECT value FROM meta WHERE key = 'exported_traces'), 0)`)[0]?.['records']
  await until('the spool is empty', waiting, (count) => count === 0, drainMsMax, 200)
  await until(
    'no row is open',
    () => sidecar.rows('SELECT count(*) AS count FROM exchanges WHERE end_reason IS NULL')[0]?.['count'],
    (count) => count === 0,
  )
  // A collector writes what it has acknowledged within a second.
  const size = () => files().reduce((sum, file) => sum + statSync(file).size, 0)
  let last = -1
  const isSame = () => {
    const before = last
    last = size()
    return last === before
  }
  await until('its file grows no more', isSame, (same) => same, drainMsMax, 1500)
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
