/** Which of several routes a request takes: by host, then by path prefix, then by header. */
import { wildcard } from '../lib/wildcard.ts'

/** What a request must have, beside the prefix. Patterns are those of `lib/wildcard`. */
export interface RouteCondition {
  /** The host that the client asks for, without port, in lower case. */
  readonly host?: string | undefined
  /** A request header; without `value` any value will do. */
  readonly header?: { readonly name: string; readonly value?: string | undefined } | undefined
}

export interface Routable {
  readonly prefix: string
  readonly when?: RouteCondition | undefined
}

/** As in Kubernetes' Gateway API: the most specific host, then the longest prefix, then the header; what is equal stays in the order of the file. */
export function byPrecedence(a: Routable, b: Routable): number {
  return hostRank(b) - hostRank(a) || b.prefix.length - a.prefix.length || headerRank(b) - headerRank(a)
}

const charactersMax = 1000

/** A name, then patterns by their length, then any host. */
function hostRank({ when }: Routable): number {
  const host = when?.host
  if (host === undefined) return 0
  return host.includes('*') ? host.length : charactersMax
}

function headerRank({ when }: Routable): number {
  const header = when?.header
  if (header === undefined) return 0
  return header.value === undefined ? 1 : 2
}

/** Whether every request that `b` takes is one that `a` takes too, as far as patterns can be compared. */
export function covers(a: Routable, b: Routable): boolean {
  const isPrefix = a.prefix === '/' || a.prefix === b.prefix || b.prefix.startsWith(`${a.prefix}/`)
  return isPrefix && coversText(a.when?.host, b.when?.host) && coversHeader(a.when?.header, b.when?.header)
}

function coversHeader(a: RouteCondition['header'], b: RouteCondition['header']): boolean {
  return a === undefined || (b !== undefined && a.name === b.name && coversText(a.value, b.value))
}

function coversText(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || a === b) return true
  return b !== undefined && !b.includes('*') && wildcard(a)(b)
}
