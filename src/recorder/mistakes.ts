/** Tells on stderr, once for each route, of a mistake in the configuration that a request shows. */
import { type Evidence, mistakeOf, pathAt } from '../conclude/mistakes.ts'
import type { Route } from '../config/config.ts'
import type { Container } from '../lib/container.ts'
import type { Exchange } from '../lib/exchange.ts'
import type { Sink } from '../sinks/sink.ts'

export interface MistakesOptions {
  readonly routes: readonly Route[]
  readonly container: Container | undefined
  readonly report: (line: string) => void
}

export interface MistakesSink extends Sink {
  /** The routes from now on; a route that has changed may be told of again. */
  use(routes: readonly Route[]): void
}

export function createMistakesSink({ routes, container, report }: MistakesOptions): MistakesSink {
  let byName = new Map(routes.map((route) => [route.name, route]))
  const told = new Set<string>()
  return {
    name: 'mistakes',
    record({ ended }) {
      for (const exchange of ended) {
        if (exchange.endReason === 'completed' && (exchange.ending.status ?? 0) < 400 && !isHtml(exchange)) continue
        const mistake = mistakeOf(evidenceOf(exchange, byName.get(exchange.opening.route), container))
        const { route } = exchange.opening
        const key = `${mistake?.kind} ${route} ${byName.get(route)?.upstream.href}`
        if (mistake === undefined || told.has(key)) continue
        told.add(key)
        report(`Route ${route}: ${mistake.what} ${mistake.mend}`)
      }
    },
    use(next) {
      byName = new Map(next.map((one) => [one.name, one]))
    },
    close: () => Promise.resolve(),
  }
}

const contentTypeOf = ({ ending }: Exchange) => ending.responseHeaders['content-type']
const isHtml = (exchange: Exchange) => contentTypeOf(exchange)?.startsWith('text/html') === true

function evidenceOf(exchange: Exchange, route: Route | undefined, container: Container | undefined): Evidence {
  const { opening, ending } = exchange
  const { outcome } = ending
  const isAnswered = outcome.kind !== 'unreachable' && outcome.kind !== 'refused'
  return {
    upstream: route?.upstream,
    method: opening.method,
    path: route === undefined ? opening.path : pathAt(route, opening.path),
    status: isAnswered ? ending.status : undefined,
    contentType: contentTypeOf(exchange),
    unreachable: outcome.kind === 'unreachable' ? { reason: outcome.reason, code: outcome.message } : undefined,
    refused: outcome.kind === 'refused' ? outcome.reason : undefined,
    container,
  }
}
