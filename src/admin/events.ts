/** `/api/events`: once a second what happened since, to every page that looks. Nothing runs while nobody does. */
import type { ServerResponse } from 'node:http'
import { type AdminRoute, headers, refusal } from './server.ts'

export interface EventsOptions {
  /** What is said once a second; the time between two calls is what a tick is about. */
  readonly tick: () => Readonly<Record<string, unknown>>
  /** Said to each page at once. */
  readonly hello: () => Readonly<Record<string, unknown>>
  /** Pages at a time; more are told so. */
  readonly clientsMax?: number
  readonly everyMs?: number
}

export interface Events {
  readonly route: AdminRoute
  close(): void
}

/** A page that takes nothing in for so long is let go; it comes again by itself. */
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
