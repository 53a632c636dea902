/** What upstreams were seen to make of an injected `stream_options`: remembered, so that a refusal costs one request and not each. */

type Capability = 'accepted' | 'refused'

export interface Capabilities {
  /** `undefined` when it is not known, or known no longer. */
  of(key: string): Capability | undefined
  learn(key: string, capability: Capability): void
}

/** Paths and models come from clients, so the memory is bounded: the entry not used for longest goes. */
const entriesMax = 4096
/** An upstream that refused is asked again after this long: gateways are upgraded. */
const refusalMsMax = 60 * 60 * 1000

export function createCapabilities(now: () => number): Capabilities {
  const known = new Map<string, { readonly capability: Capability; readonly since: number }>()
  return {
    of(key) {
      const entry = known.get(key)
      if (entry === undefined) return undefined
      known.delete(key)
      if (entry.capability === 'refused' && now() - entry.since > refusalMsMax) return undefined
      known.set(key, entry)
      return entry.capability
    },
    learn(key, capability) {
      known.delete(key)
      known.set(key, { capability, since: now() })
      if (known.size > entriesMax) known.delete(known.keys().next().value as string)
    },
  }
}
