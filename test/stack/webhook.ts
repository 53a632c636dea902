/** Where Alertmanager's notifications arrive. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export interface Notified {
  /** The last part of the address it came to. */
  readonly receiver: string
  readonly status: 'firing' | 'resolved'
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export interface Webhook {
  readonly url: string
  /** Every alert of every notification so far, in the order of arrival. */
  readonly alerts: readonly Notified[]
  close(): Promise<void>
}

export async function startWebhook(): Promise<Webhook> {
  const alerts: Notified[] = []
  const server = createServer(async (request, response) => {
    const body = JSON.parse(await text(request)) as { readonly alerts: readonly Omit<Notified, 'receiver'>[] }
    alerts.push(...body.alerts.map((alert) => ({ ...alert, receiver: request.url?.slice(1) ?? '' })))
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    alerts,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
