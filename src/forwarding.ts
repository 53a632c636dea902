/** What the proxying thread forwards and observes with: the second half of the composition root. */

import { createAttributor } from './conclude/providers/attribution.ts'
import type { Config } from './config/config.ts'
import { labelNeeds } from './config/labels.ts'
import { createClock } from './lib/clock.ts'
import type { Opening } from './lib/exchange.ts'
import { createIds } from './lib/ids.ts'
import { CopyBudget } from './observe/collected.ts'
import { createObserve } from './observe/observe.ts'
import { BodyBudget } from './proxy/body.ts'
import { createForwarder, type Forwarder } from './proxy/forwarder.ts'
import { createCapabilities } from './proxy/inject/capabilities.ts'
import { createUsageInjector } from './proxy/inject/editor.ts'
import { queryInputs } from './proxy/label-inputs.ts'
import type { Callers } from './proxy/opening.ts'
import type { Upstreams } from './proxy/upstreams.ts'
import type { RecorderLink } from './recorder/link.ts'
import { overheadBucketsMicros } from './telemetry/catalog.ts'

interface Parts {
  readonly config: Config
  readonly records: RecorderLink
  readonly upstreams: Upstreams
  readonly callers: Callers | undefined
  /** See `Cell`. */
  readonly cells: Int32Array
  /** Gets a sentence for the operator. */
  readonly report: (sentence: string) => void
  /** A connection could not be made for lack of a descriptor. */
  readonly lacking: () => void
}

export function createForwarding({ config, records, upstreams, callers, cells, report, lacking }: Parts): Forwarder {
  const clock = createClock()
  const { requestHeaders, responseHeaders } = createAttributor({ own: config.providers })
  const observe = createObserve({
    records,
    clock,
    cells,
    overheadBucketsMicros,
    observedHeaders: new Set(responseHeaders),
    bodyBytesMax: config.limits.bodyBytes,
    copies: new CopyBudget(config.limits.heldBytes),
    messageBytesMax: config.limits.messageBytes,
    estimates: config.estimates.enabled,
  })
  const needs = labelNeeds(config.labels)
  const observedHeaders = new Set([...requestHeaders, ...needs.headers])
  const drain = { msMax: config.timeouts.drainMs, bytesMax: config.limits.drainBytes }
  const editor =
    config.capture === 'inject'
      ? createUsageInjector(createCapabilities(Date.now, { file: `${config.ledger}.upstreams.json`, report }))
      : undefined
  return createForwarder(config.routes, {
    upstreamOf: upstreams.of,
    observe,
    editor,
    drain,
    bodies: new BodyBudget(config.limits.heldBytes),
    silence: { bodyMs: config.timeouts.clientBodyMs, readMs: config.timeouts.clientReadMs },
    tellsId: config.capture === 'inject' && config.requestIdHeader,
    clock,
    ids: createIds(),
    cells,
    observedHeaders,
    callers,
    labelInputs:
      needs.queries.length + needs.claims.length === 0
        ? undefined
        : (headers, target) => inputs(queryInputs(target, needs.queries), callers?.claims?.(headers)),
    lacking,
  })
}

function inputs(query: Opening['labelInputs'], claims: Opening['labelInputs']): Opening['labelInputs'] {
  return query === undefined ? claims : { ...query, ...claims }
}
