/** `/api/events`: sends every open page, once a second, what happened since. Nothing runs while no page is open. */
import type { ServerResponse } from 'node:http'
import { type AdminRoute, headers, refusal } from './server.ts'

export interface EventsOptions {
  /** The event of each second; it covers the time since the last call. */
  readonly tick: () => Readonly<Record<string, unknown>>
  /** The first event, sent to a page when it connects. */
  readonly hello: () => Readonly<Record<string, unknown>>
  /** Pages that may be connected at a time; a further one gets an error response. */
  readonly clientsMax?: number
  readonly everyMs?: number
}

export interface Events {
  readonly route: AdminRoute
  close(): void
}

/** A page that reads nothing for this long is disconnected; it reconnects by itself. */
const waitingBytesMax = 2 * 1024 * 1024

export function createEvents({ tick, hello, clientsMax = 16, everyMs = 1000 }: EventsOptions): Events {
  const clients = new Set<ServerResponse>()
  let timer: NodeJS.Timeout | undefined

  function tell(): void {
    const text = event('tick', tick())
    for (const client of clients) {
      if (client.writableLength > waitingBytesMax) client.destroy()
      else client.write(text)
    }
  }

  function leave(client: ServerResponse): void {
    clients.delete(client)
    if (clients.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  return {
    route: {
      path: '/api/events',
      answer(request, response) {
        if (clients.size >= clientsMax) {
          return refusal(503, `${clientsMax} pages are already open. Close one, and this one comes by itself.`)
        }
        response.writeHead(200, { ...headers, 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' })
        if (request.method === 'HEAD') {
          response.end()
          return undefined
        }
        response.on('close', () => leave(response))
        response.on('error', () => leave(response))
        clients.add(response)
        if (timer === undefined) {
          tick() // what gathered while nobody looked is not of the last second
          timer = setInterval(tell, everyMs).unref()
        }
        response.write(`retry: 2000\n${event('hello', hello())}`)
        return undefined
      },
    },
    close() {
      clearInterval(timer)
      for (const client of clients) client.destroy()
    },
  }
}

function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}
