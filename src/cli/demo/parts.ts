/** The sample gateway and its traffic are an example, outside of `src/`: loaded from the checkout, or from where the build has put them. */
import { existsSync } from 'node:fs'
import type { Usage } from '../../lib/exchange.ts'
import type { JsonObject } from '../../lib/json.ts'

export interface Sent {
  readonly id: string | undefined
  readonly streamed: boolean
  readonly status: number
  readonly usage: Usage | undefined
  readonly ended: 'whole' | 'failed' | 'cut' | 'client-left'
}

export interface SampleGateway {
  readonly url: string
  readonly sent: readonly Sent[]
  close(): Promise<void>
}

export interface DemoRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: JsonObject
  /** The client goes away after the first bytes of the answer. */
  readonly leaves?: boolean
}

export interface Parts {
  readonly startSampleGateway: (options: { readonly eventMs: number; readonly logFile: string }) => Promise<SampleGateway>
  readonly requests: Requests
  /** Sends one request with a caller's key and reads its answer; never rejects. */
  readonly send: (url: string, request: DemoRequest, key: string) => Promise<void>
}

/** Each call returns other prompts. */
interface Requests {
  readonly good: () => readonly DemoRequest[]
  readonly faulty: () => readonly DemoRequest[]
}

export async function loadParts(): Promise<Parts> {
  const source = new URL('../../../examples/sample-gateway/', import.meta.url)
  const isSource = existsSync(new URL('gateway.ts', source)) && import.meta.url.endsWith('.ts')
  const place = (name: string) =>
    isSource ? new URL(`${name}.ts`, source).href : new URL(`../../demo-parts/examples/sample-gateway/${name}.js`, import.meta.url).href
  const [gateway, traffic, { send }] = await Promise.all([import(place('gateway')), import(place('traffic')), import(place('send'))])
  const requests = { good: traffic.goodRequests, faulty: traffic.faultyRequests }
  return { startSampleGateway: gateway.startSampleGateway, requests, send }
}
