/** Reads the configuration while the sidecar runs: aside, since large files (tables of prices, names of callers) would hold up every stream. */
import { startThread } from '../lib/program.ts'
import type { Config, ConfigError, Sources } from './config.ts'

export type Reloaded = { readonly config: Config } | { readonly errors: readonly ConfigError[] }

/** From the file system. Rejects where the thread cannot be started. */
export async function loadConfigAside({ flags, env }: Pick<Sources, 'flags' | 'env'>): Promise<Reloaded> {
  const worker = startThread('config/load-thread', { workerData: { flags: { ...flags }, env: { ...env } }, name: 'configuration' })
  const text = await new Promise<string>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', () => reject(new Error('The configuration could not be read: its thread ended.')))
  })
  const loaded = JSON.parse(text) as Reloaded
  if ('errors' in loaded) return loaded
  const { routes } = loaded.config
  return { config: { ...loaded.config, routes: routes.map((route) => ({ ...route, upstream: new URL(route.upstream) })) } }
}
