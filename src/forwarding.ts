/** What the proxying thread forwards and observes with: the second half of the composition root. */

import { createAttributor } from './conclude/providers/attribution.ts'
import type { Config } from './config/config.ts'
import { createClock } from './lib/clock.ts'
import { createIds } from './lib/ids.ts'
import { createObserve } from './observe/observe.ts'
import { createForwarder, type Forwarder } from './proxy/forwarder.ts'
import { createCapabilities } from './proxy/inject/capabilities.ts'
import { createUsageInjector } from './proxy/inject/editor.ts'
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
    messageBytesMax: config.limits.messageBytes,
    estimates: config.estimates.enabled,
  })
  const observedHeaders = new Set(requestHeaders)
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
    clock,
    ids: createIds(),
    cells,
    observedHeaders,
    callers,
    lacking,
  })
}
