/** What the proxying thread forwards and observes with: the second half of the composition root. */

import { createAttributor } from './conclude/providers/attribution.ts'
import type { Config } from './config/config.ts'
import { labelNeeds } from './config/labels.ts'
import { createClock } from './lib/clock.ts'
import type { Opening } from './lib/exchange.ts'
import { createIds } from './lib/ids.ts'
import { readSalt } from './lib/salt.ts'
import { CopyBudget } from './observe/collected.ts'
import { createObserve } from './observe/observe.ts'
import { BodyBudget } from './proxy/body.ts'
import { createCallers } from './proxy/caller/callers.ts'
import type { ForwardOptions } from './proxy/forward.ts'
import { createForwarder, type Forwarder } from './proxy/forwarder.ts'
import { createHealth, type Health } from './proxy/health.ts'
import { type Capabilities, createCapabilities } from './proxy/inject/capabilities.ts'
import { createUsageInjector } from './proxy/inject/editor.ts'
import { queryInputs } from './proxy/label-inputs.ts'
import type { Callers } from './proxy/opening.ts'
import { startProbes } from './proxy/probe.ts'
import { destinationOf } from './proxy/routes.ts'
import { createUpstreams, type UpstreamOf } from './proxy/upstreams.ts'
import type { RecorderLink } from './recorder/link.ts'
import { metrics, overheadBucketsMicros } from './telemetry/catalog.ts'

interface Parts {
  readonly config: Config
  readonly records: RecorderLink
  /** See `Cell`. */
  readonly cells: Int32Array
  /** Gets a sentence for the operator. */
  readonly report: (sentence: string) => void
  /** A connection could not be made for lack of a descriptor. */
  readonly lacking: () => void
}

export interface Forwarding {
  readonly forwarder: Forwarder
  readonly health: Pick<Health, 'states' | 'changes'>
  /**
   * For what begins from now on; what is open goes on as it began. Rejects, and changes nothing, where the salt of callers and labels cannot be kept.
   * Certificates are no part of it: who listens reads them again when their files change.
   */
  use(config: Config): Promise<void>
  /** Ends every connection to an upstream; resolves when what was learnt of upstreams is kept. */
  close(): Promise<void>
}

/** What outlives a change of the settings. */
interface Kept extends Omit<Parts, 'config'> {
  readonly clock: ForwardOptions['clock']
  readonly ids: ForwardOptions['ids']
  readonly copies: CopyBudget
  readonly bodies: BodyBudget
  readonly editor: () => ForwardOptions['editor']
  readonly healthOf: Health['of']
}

/** Rejects with the sentence that mends it: the salt of callers' names cannot be kept. */
export async function createForwarding({ config, ...parts }: Parts): Promise<Forwarding> {
  const health = createHealth({ now: Date.now, connectBuckets: metrics['tokenweir.upstream.connect.duration'].buckets })
  const upstreams = createUpstreams({ health, cells: parts.cells, report: parts.report })
  const originsOf = ({ routes }: Config) => routes.map((route) => destinationOf(route).origin)
  health.use(originsOf(config))
  const { heldBytes } = config.limits
  let capabilities: Capabilities | undefined
  const kept: Kept = {
    ...{ ...parts, clock: createClock(), ids: createIds(), healthOf: health.of },
    ...{ copies: new CopyBudget(heldBytes), bodies: new BodyBudget(heldBytes) },
    editor: once(() => {
      capabilities = createCapabilities(Date.now, { file: `${config.ledger}.upstreams.json`, report: parts.report })
      return createUsageInjector(capabilities)
    }),
  }
  let callers = await callersOf(config, parts)
  let names = namingOf(config)
  const upstreamOf = upstreams.use(config.routes, timesOf(config))
  const forwarder = createForwarder(config.routes, optionsOf(config, kept, upstreamOf, callers))
  let probes = startProbes(config.routes, upstreamOf, health)
  return {
    forwarder,
    health,
    async use(next) {
      if (next.labels.some(({ hash }) => hash)) readSalt(`${next.ledger}.salt`) // the recorder will need it
      // Kept where it can be: it remembers tokens and keys.
      if (namingOf(next) !== names) callers = await callersOf(next, parts)
      names = namingOf(next)
      kept.copies.limit(next.limits.heldBytes)
      kept.bodies.limit(next.limits.heldBytes)
      probes.stop()
      health.use(originsOf(next))
      const nextUpstreamOf = upstreams.use(next.routes, timesOf(next))
      forwarder.use(next.routes, optionsOf(next, kept, nextUpstreamOf, callers))
      probes = startProbes(next.routes, nextUpstreamOf, health)
    },
    async close() {
      probes.stop()
      upstreams.destroy()
      await capabilities?.close()
    },
  }
}

const timesOf = ({ timeouts: { connectMs, headMs, idleMs }, limits: { headerBytes } }: Config) => ({
  connectMs,
  headMs,
  idleMs,
  headerBytes,
})

/** All that names of callers depend on. */
const namingOf = ({ caller, labels }: Config) => JSON.stringify([caller, labelNeeds(labels).claims])

function callersOf({ caller, ledger, labels }: Config, { cells, report }: Omit<Parts, 'config'>): Promise<Callers | undefined> {
  return createCallers({ sources: caller, ledger, claims: labelNeeds(labels).claims, cells, report })
}

function optionsOf(config: Config, kept: Kept, upstreamOf: UpstreamOf, callers: Callers | undefined): ForwardOptions {
  const { records, clock, cells, lacking, copies, bodies, ids, healthOf } = kept
  const { requestHeaders, responseHeaders } = createAttributor({ own: config.providers })
  const observe = createObserve({
    ...{ records, clock, cells, overheadBucketsMicros, copies },
    observedHeaders: new Set(responseHeaders),
    bodyBytesMax: config.limits.bodyBytes,
    messageBytesMax: config.limits.messageBytes,
    estimates: config.estimates.enabled,
  })
  const needs = labelNeeds(config.labels)
  return {
    ...{ upstreamOf, healthOf, observe, bodies, clock, ids, cells, callers, lacking },
    editor: config.capture === 'inject' ? kept.editor() : undefined,
    drain: { msMax: config.timeouts.drainMs, bytesMax: config.limits.drainBytes },
    silence: { bodyMs: config.timeouts.clientBodyMs, readMs: config.timeouts.clientReadMs },
    tellsId: config.capture === 'inject' && config.requestIdHeader,
    observedHeaders: new Set([...requestHeaders, ...needs.headers]),
    labelInputs:
      needs.queries.length + needs.claims.length === 0
        ? undefined
        : (headers, target) => inputs(queryInputs(target, needs.queries), callers?.claims?.(headers)),
  }
}

function inputs(query: Opening['labelInputs'], claims: Opening['labelInputs']): Opening['labelInputs'] {
  return query === undefined ? claims : { ...query, ...claims }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}
