/** A collector on the loopback: keeps what it was sent, and answers as it is told. */
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

export interface Received {
  readonly path: string
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
}

export interface Collector {
  readonly url: string
  readonly received: readonly Received[]
  /** Bodies sent to that path, as JSON. */
  json(path: string): readonly OtlpJson[]
}

// biome-ignore lint/suspicious/noExplicitAny: whatever the exporter put on the wire
export type OtlpJson = any

export interface Answer {
  readonly status: number
  readonly body?: string
  readonly contentType?: string
}

/** `answer` is a status, or decides for each request. */
export async function startCollector(answer: number | ((received: Received) => Answer) = 200): Promise<Collector> {
  const received: Received[] = []
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const one = { path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks) }
      received.push(one)
      const { status, body = '{}', contentType = 'application/json' } = typeof answer === 'number' ? { status: answer } : answer(one)
      response.writeHead(status, { 'content-type': contentType }).end(body)
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    json: (path) => received.filter((one) => one.path === path).map(({ body }) => JSON.parse(body.toString())),
  }
}

/** All spans of one request. */
export function spansOf({ resourceSpans }: OtlpJson): OtlpJson[] {
  return resourceSpans.flatMap(({ scopeSpans }: OtlpJson) => scopeSpans.flatMap(({ spans }: OtlpJson) => spans))
}

/** `[{ key, value: { stringValue } }]` → a plain object. */
export function plain(attributes: OtlpJson): Record<string, unknown> {
  const plainValue = (value: OtlpJson): unknown => {
    if (value.arrayValue !== undefined) return value.arrayValue.values.map(plainValue)
    return value.stringValue ?? value.boolValue ?? value.doubleValue ?? (value.intValue === undefined ? undefined : Number(value.intValue))
  }
  return Object.fromEntries(attributes.map(({ key, value }: OtlpJson) => [key, plainValue(value)]))
}
