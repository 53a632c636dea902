/** What the proxying thread gives the recorder's thread at its start. A `URL` cannot be cloned, so upstreams travel as text. */
import type { Config, Route } from '../config/config.ts'

/** Without forward proxies: their credentials stay on the proxying thread. */
export type CloneableConfig = Omit<Config, 'routes'> & {
  readonly routes: readonly (Omit<Route, 'upstream' | 'proxy'> & { readonly upstream: string })[]
}

export interface RecorderData {
  readonly config: CloneableConfig
  /** Cells as in `Cell`. */
  readonly cells: SharedArrayBuffer
  /** It takes the place of a recorder that died in this process: rows that are open belong to living requests. */
  readonly restarted?: boolean
  /** Variables that take the place of the thread's own `OTEL_*` ones; for tests. */
  readonly env?: Readonly<Record<string, string>>
}

export function cloneableConfig(config: Config): CloneableConfig {
  const caller = config.caller.map((source) => {
    if (source.kind !== 'jwt') return source
    const { proxy: _, ...jwks } = source.jwks
    return { ...source, jwks }
  })
  return { ...config, caller, routes: config.routes.map(({ proxy: _, ...route }) => ({ ...route, upstream: route.upstream.href })) }
}

export function revivedConfig(config: CloneableConfig): Config {
  return { ...config, routes: config.routes.map((route) => ({ ...route, upstream: new URL(route.upstream) })) }
}
