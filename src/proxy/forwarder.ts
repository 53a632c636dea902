/** Every request that is open, and how all of them end when the sidecar does. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Route } from '../config/config.ts'
import { createIndexedSet, type IndexedSet } from '../lib/indexed-set.ts'
import { Cell } from '../lib/shared-counters.ts'
import { Forwarding, type ForwardOptions } from './forward.ts'
import { openingOf, originForm } from './opening.ts'
import { createRouter } from './routes.ts'
import { silenceOf } from './silence.ts'
import { Upgrading } from './upgrade.ts'

export interface Forwarder {
  handle(request: IncomingMessage, response: ServerResponse): void
  /** `head` is what the client has sent behind its request already. */
  upgrade(request: IncomingMessage, client: Socket, head: Buffer): void
  /** Requests that have not ended. */
  openCount(): number
  /** Whether an answer is under way on that socket. */
  isAnswering(socket: object): boolean
  /** New answers ask their clients to close the connection. */
  closeConnections(): void
  /** Ends every open request as `sidecar-stopped`. */
  cutAll(): void
}

export function createForwarder(routes: readonly Route[], options: ForwardOptions): Forwarder {
  const route = createRouter(routes)
  const open = createIndexedSet<Forwarding | Upgrading>()
  const watch = watchOver(open, options)
  const answering = new WeakMap<object, number>()
  let closing = false
  const count = (socket: object, by: number) => answering.set(socket, (answering.get(socket) ?? 0) + by)
  return {
    handle(request, response) {
      if (closing) response.shouldKeepAlive = false
      const target = originForm(request.url ?? '/')
      const match = route(target)
      const opening = openingOf(request, target, match?.destination, options)
      const { socket } = request // node:http takes it off the request when it is destroyed
      const forwarding = new Forwarding(request, response, opening, options, () => {
        open.remove(forwarding)
        count(socket, -1)
        Atomics.sub(options.cells, Cell.open, 1)
      })
      open.add(forwarding)
      watch()
      count(socket, 1)
      Atomics.add(options.cells, Cell.open, 1)
      if (match === undefined) forwarding.refuse(404, 'no_route', 'No configured route has a prefix of this path.')
      else forwarding.begin(match.destination, match.path)
    },
    upgrade(request, client, head) {
      const target = originForm(request.url ?? '/')
      const match = route(target)
      const opening = openingOf(request, target, match?.destination, options)
      const upgrading = new Upgrading(request, client, head, opening, options, () => {
        open.remove(upgrading)
        Atomics.sub(options.cells, Cell.open, 1)
      })
      open.add(upgrading)
      watch()
      Atomics.add(options.cells, Cell.open, 1)
      if (match === undefined) upgrading.refuse(404, 'no_route', 'No configured route has a prefix of this path.')
      else upgrading.begin(match.destination, match.path)
    },
    openCount: open.size,
    isAnswering: (socket) => (answering.get(socket) ?? 0) > 0,
    closeConnections() {
      closing = true
    },
    cutAll() {
      for (const forwarding of open.all()) forwarding.cut()
    },
  }
}

/** Looks for clients that have gone silent, while anything is open. */
function watchOver(open: IndexedSet<Forwarding | Upgrading>, options: ForwardOptions): () => void {
  const silence = silenceOf(options.silence)
  let timer: NodeJS.Timeout | undefined
  const look = () => {
    for (const one of open.all()) one.look(silence)
    if (open.size() > 0) return
    clearInterval(timer)
    timer = undefined
  }
  return () => {
    if (silence.everyMs > 0) timer ??= setInterval(look, silence.everyMs).unref()
  }
}
