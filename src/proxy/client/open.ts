/** A request on a connection of its own, for an upgrade: node:http knows how to hand such a connection over. */
import { type ClientRequest, request as httpRequest } from 'node:http'
import type { Socket } from 'node:net'
import type { UpstreamRequest } from './call.ts'
import type { Connector } from './connect.ts'

export interface OpenLimits {
  readonly connectMs: number
  readonly headMs: number
  readonly headerBytes: number
}

/** Fields are sent as they are, in order and case. Throws when the path or a field cannot be sent. Half-open is for the two ends to deal with. */
export function openRequest(connector: Connector, { method, path, headers, host }: UpstreamRequest, limits: OpenLimits): ClientRequest {
  const socket = connector.connect(connector.servernameOf(host), true)
  try {
    const request = httpRequest({
      ...{ method, path, headers, setHost: false, maxHeaderSize: limits.headerBytes },
      createConnection: () => socket,
    })
    return limited(request, socket, connector.isSecure, limits)
  } catch (error) {
    socket.destroy()
    throw error
  }
}

/** The same limits as for every other request: to connect, then to the head of the answer. */
function limited(request: ClientRequest, socket: Socket, isSecure: boolean, { connectMs, headMs }: OpenLimits): ClientRequest {
  const late = () => request.destroy(Object.assign(new Error('The upstream is too slow.'), { code: 'ETIMEDOUT' }))
  let timer = connectMs > 0 ? setTimeout(late, connectMs) : undefined
  socket.once(isSecure ? 'secureConnect' : 'connect', () => {
    clearTimeout(timer)
    timer = headMs > 0 ? setTimeout(late, headMs) : undefined
  })
  for (const event of ['response', 'upgrade', 'close'] as const) request.once(event, () => clearTimeout(timer))
  return request
}
