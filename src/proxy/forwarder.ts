/** Every request that is open, and how all of them end when the sidecar does. */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Route } from '../config/config.ts'
import { createIndexedSet, type IndexedSet } from '../lib/indexed-set.ts'
import { Cell } from '../lib/shared-counters.ts'
import type { ClientRequest, ServedResponse } from './client.ts'
import { Forwarding, type ForwardOptions } from './forward.ts'
import { GuardedObserver } from './guarded-observer.ts'
import { openingOf, originForm } from './opening.ts'
import { type Refusal, refusalOf, refusals } from './refusals.ts'
import { createRouter } from './routes.ts'
import { silenceOf } from './silence.ts'
import { Upgrading } from './upgrade.ts'

export interface OpenRequest {
  /** What the client sends as its body is no HTTP. */
  broke(): void
}

export interface Forwarder {
  /** `onClosed` is called when the response has been written, or its connection is gone. `refusal` is what is known to be wrong with the request already. */
  handle(request: ClientRequest, response: ServedResponse, onClosed: () => void, refusal?: Refusal): OpenRequest
  /** `head` is what the client has sent behind its request already. */
  upgrade(request: IncomingMessage, client: Socket, head: Buffer): void
  /** Records a request that was never begun, because its connection ended before its turn came. */
  drop(request: ClientRequest): void
  /** Requests that have not ended. */
  openCount(): number
  /** New answers ask their clients to close the connection. */
  closeConnections(): void
  /** Ends every open request as `sidecar-stopped`. */
  cutAll(): void
  /** For the requests that begin from now on. Open ones go on as they began; only the limits on silent clients are those of now for all. */
  use(routes: readonly Route[], options: ForwardOptions): void
}

export function createForwarder(routes: readonly Route[], given: ForwardOptions): Forwarder {
  let options = given
  let route = createRouter(routes)
  const open = createIndexedSet<Forwarding | Upgrading>()
  let watch = watchOver(open, options)
  let closing = false
  return {
    handle(request, response, onClosed, refusal = refusalOf(request)) {
      if (closing) response.shouldKeepAlive = false
      const target = originForm(request.url ?? '/')
      const match = route(target, request.headers)
      const opening = openingOf(request, target, match?.destination, options)
      const onSettled = () => {
        open.remove(forwarding)
        Atomics.sub(options.cells, Cell.open, 1)
      }
      const forwarding = new Forwarding(request, response, opening, options, onSettled, onClosed)
      open.add(forwarding)
      watch.begin()
      Atomics.add(options.cells, Cell.open, 1)
      if (refusal !== undefined) forwarding.refuse(refusal, false)
      else if (match === undefined) forwarding.refuse(refusals.noRoute)
      else forwarding.begin(match.destination, match.path)
      return forwarding
    },
    upgrade(request, client, head) {
      const target = originForm(request.url ?? '/')
      const match = route(target, request.headers)
      const opening = openingOf(request, target, match?.destination, options)
      const upgrading = new Upgrading(request, client, head, opening, options, () => {
        open.remove(upgrading)
        Atomics.sub(options.cells, Cell.open, 1)
      })
      open.add(upgrading)
      watch.begin()
      Atomics.add(options.cells, Cell.open, 1)
      const refusal = refusalOf(request)
      if (refusal !== undefined) upgrading.refuse(refusal)
      else if (match === undefined) upgrading.refuse(refusals.noRoute)
      else upgrading.begin(match.destination, match.path)
    },
    drop(request) {
      const target = originForm(request.url ?? '/')
      const opening = openingOf(request, target, route(target, request.headers)?.destination, options)
      const observer = new GuardedObserver(() => options.observe(opening), options.cells)
      observer.end({ kind: closing ? 'sidecar-stopped' : 'client-aborted' }, undefined)
    },
    openCount: open.size,
    closeConnections() {
      closing = true
    },
    cutAll() {
      for (const forwarding of open.all()) forwarding.cut()
    },
    use(nextRoutes, next) {
      options = next
      route = createRouter(nextRoutes)
      watch.end()
      watch = watchOver(open, options)
      if (open.size() > 0) watch.begin()
    },
  }
}

/** Looks for clients that have gone silent, while anything is open. */
function watchOver(open: IndexedSet<Forwarding | Upgrading>, options: ForwardOptions): { begin(): void; end(): void } {
  const silence = silenceOf(options.silence)
  let timer: NodeJS.Timeout | undefined
  const look = () => {
    for (const one of open.all()) one.look(silence)
    if (open.size() === 0) end()
  }
  const end = () => {
    clearInterval(timer)
    timer = undefined
  }
  return {
    begin() {
      if (silence.everyMs > 0) timer ??= setInterval(look, silence.everyMs).unref()
    },
    end,
  }
}
