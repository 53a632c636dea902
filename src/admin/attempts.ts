/** Counts wrong tokens by address. Bounded: beyond its limit the oldest address is forgotten. */

export interface Attempts {
  /** The address has no attempts left for now. */
  isLimited(address: string | undefined): boolean
  failed(address: string | undefined): void
}

export const windowMs = 60_000
const failuresMax = 10
const addressesMax = 1024

/** `now` in milliseconds. */
export function createAttempts(now: () => number): Attempts {
  const failures = new Map<string, { count: number; readonly until: number }>()
  const of = (network: string) => {
    const known = failures.get(network)
    if (known === undefined || known.until > now()) return known
    failures.delete(network)
    return undefined
  }
  return {
    isLimited: (address) => (of(networkOf(address))?.count ?? 0) >= failuresMax,
    failed(address) {
      const network = networkOf(address)
      const known = of(network)
      if (known !== undefined) known.count++
      else {
        const [first] = failures.keys()
        if (failures.size >= addressesMax && first !== undefined) failures.delete(first)
        failures.set(network, { count: 1, until: now() + windowMs })
      }
    },
  }
}

/** An IPv4 address, also as a dual-stack socket writes it; of an IPv6 address the /64, of which one machine has every address (RFC 4291 §2.5.4). */
function networkOf(address = ''): string {
  const mapped = /^::ffff:(\d+(?:\.\d+){3})$/i.exec(address)?.[1]
  if (mapped !== undefined || !address.includes(':')) return mapped ?? address
  const [head = '', tail = ''] = address.split('::')
  const groups = (text: string) => text.split(':').filter((group) => group !== '')
  const before = groups(head)
  const zeros = new Array<string>(Math.max(0, 8 - before.length - groups(tail).length)).fill('0')
  return [...before, ...zeros, ...groups(tail)].slice(0, 4).join(':')
}
