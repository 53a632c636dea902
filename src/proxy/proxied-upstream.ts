/** An upstream that is reached through a forward proxy, by undici's agent for it. A failure names the proxy and the host. */
import { type Dispatcher, ProxyAgent } from 'undici'
import type { ForwardProxy } from '../config/forward-proxy.ts'
import type { CallRequest } from './call.ts'
import { UpstreamFault } from './fault.ts'
import { createShared, type Upstream, type UpstreamOptions } from './upstream.ts'

export function createProxiedUpstream(origin: string, proxy: ForwardProxy, options: UpstreamOptions): Upstream {
  const { connectMs, headMs, idleMs, headerBytes, http2 = false } = options
  const { host } = new URL(origin)
  const agent = (proxyTunnel: boolean | undefined) =>
    new ProxyAgent({
      uri: proxy.url.href,
      connectTimeout: connectMs,
      headersTimeout: headMs,
      bodyTimeout: idleMs,
      maxHeaderSize: headerBytes,
      allowH2: http2,
      ...(proxyTunnel === undefined ? {} : { proxyTunnel }),
    })
  const plain = createShared(origin, listed(agent(undefined)), (error, isStarted) => (isStarted ? error : failedAt(proxy, host, error)))
  // An upgrade needs a tunnel, also where plain HTTP goes through the proxy without one.
  const tunnel = createShared(origin, listed(agent(true)), (error, isStarted) => (isStarted ? error : failedAt(proxy, host, error)))
  return {
    dispatch: (request: CallRequest, handler) => (request.upgrade === undefined ? plain : tunnel).dispatch(request, handler),
    destroy() {
      plain.destroy()
      tunnel.destroy()
    },
  }
}

/** The agent keeps the last of repeated fields in a list; in an object it keeps all of them. */
function listed(agent: ProxyAgent): Dispatcher {
  const dispatch = agent.dispatch.bind(agent)
  agent.dispatch = (options, handler) => dispatch({ ...options, headers: byName(options.headers as readonly string[]) }, handler)
  return agent
}

function byName(headers: readonly string[]): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = {}
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string
    const value = headers[i + 1] as string
    const before = fields[name]
    fields[name] = before === undefined ? value : [before, value].flat()
  }
  return fields
}

function failedAt(proxy: ForwardProxy, host: string, error: Error): Error {
  const status = /\((\d{3})\)/.exec(error.message)?.[1]
  const why = status === undefined ? ((error as NodeJS.ErrnoException).code ?? error.message) : `it answered ${status}`
  return new UpstreamFault('PROXY', `The proxy ${proxy.shown} opened no way to ${host}: ${why}.`)
}
