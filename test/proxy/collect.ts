/** What comes of one call, for tests. */

import { onTestFinished } from 'vitest'
import type { Call, CallHandler, CallRequest, RequestBody } from '../../src/proxy/call.ts'
import { createUpstream, type Upstream, type UpstreamOptions } from '../../src/proxy/upstream.ts'

export interface Answered {
  readonly interim: [number, string[]][]
  status: number
  statusText: string
  fields: string[]
  body: string
  trailers: string[]
  /** Bytes of the request's body that have been handed over, and whether all of them. */
  sent: string
  isSent: boolean
}

export interface Running {
  readonly call: Call
  /** So far. */
  readonly answered: Answered
  /** The answer, or the code of the error. */
  readonly outcome: Promise<Answered | string>
}

export function upstreamOf(origin: string, options: Partial<UpstreamOptions> = {}): Upstream {
  const upstream = createUpstream(origin, { connectMs: 5000, headMs: 5000, idleMs: 5000, headerBytes: 65_536, ...options })
  onTestFinished(() => upstream.destroy())
  return upstream
}

type Sent = Partial<Omit<CallRequest, 'body'>> & { readonly body?: RequestBody | Buffer }

export function send(upstream: Upstream, { body = null, ...request }: Sent = {}, onData?: (call: Call) => void): Running {
  const answered: Answered = { interim: [], status: 0, statusText: '', fields: [], body: '', trailers: [], sent: '', isSent: false }
  let settle: (outcome: Answered | string) => void
  const outcome = new Promise<Answered | string>((resolve) => {
    settle = resolve
  })
  const handler: CallHandler = {
    bodySent: (chunk) => void (answered.sent += chunk.toString('latin1')),
    requestSent: () => void (answered.isSent = true),
    interim: (status, fields) => void answered.interim.push([status, fields]),
    head: (status, statusText, fields) => void Object.assign(answered, { status, statusText, fields }),
    data(chunk) {
      answered.body += chunk.toString('latin1')
      onData?.(call)
    },
    end(trailers) {
      answered.trailers = trailers
      settle(answered)
    },
    failed: (error) => settle((error as NodeJS.ErrnoException).code ?? error.message),
  }
  const call = upstream.dispatch(
    {
      method: 'GET',
      path: '/',
      headers: ['Host', 'up.example'],
      host: 'up.example',
      body: Buffer.isBuffer(body) ? [body] : body,
      ...request,
    },
    handler,
  )
  return { call, answered, outcome }
}
