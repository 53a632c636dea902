/**
 * An OTLP/HTTP collector that answers 200 and counts spans, in a process of its own. It reads protobuf and JSON, gzipped or not.
 * Over IPC it says `{port}` once it listens, and answers any message with its counts.
 */
import { createServer } from 'node:http'
import { gunzipSync } from 'node:zlib'

let spans = 0
let requests = 0
let unread = 0
const ids = new Set<string>()

/** Calls `visit` with each length-delimited field `wanted` of a protobuf message. */
function eachField(bytes: Buffer, wanted: number, visit: (field: Buffer) => void): void {
  let at = 0
  const varint = () => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at] ?? 0
      at += 1
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const tag = varint()
    const wire = tag % 8
    if (wire === 0) varint()
    else if (wire === 1) at += 8
    else if (wire === 5) at += 4
    else if (wire === 2) {
      const length = varint()
      if (Math.floor(tag / 8) === wanted) visit(bytes.subarray(at, at + length))
      at += length
    } else throw new Error(`wire type ${wire}`)
  }
}

function count(spanId: string): void {
  spans += 1
  ids.add(spanId)
}

/** ExportTraceServiceRequest.resource_spans 1 → scope_spans 2 → spans 2 → span_id 2. */
function readProtobuf(bytes: Buffer): void {
  eachField(bytes, 1, (resource) =>
    eachField(resource, 2, (scope) => eachField(scope, 2, (span) => eachField(span, 2, (id) => count(id.toString('hex'))))),
  )
}

interface TraceRequest {
  readonly resourceSpans?: readonly { readonly scopeSpans?: readonly { readonly spans?: readonly { readonly spanId: string }[] }[] }[]
}

function readJson(bytes: Buffer): void {
  const request = JSON.parse(bytes.toString()) as TraceRequest
  for (const resource of request.resourceSpans ?? []) {
    for (const scope of resource.scopeSpans ?? []) for (const span of scope.spans ?? []) count(span.spanId)
  }
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const json = request.headers['content-type']?.includes('json') ?? false
    response.writeHead(200, { 'content-type': json ? 'application/json' : 'application/x-protobuf' }).end(json ? '{}' : '')
    requests += 1
    if (!request.url?.endsWith('/v1/traces')) return
    const body = Buffer.concat(chunks)
    const plain = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
    try {
      if (json) readJson(plain)
      else readProtobuf(plain)
    } catch {
      unread += 1
    }
  })
})
server.listen({ port: 0, host: '127.0.0.1' }, () => {
  const address = server.address()
  process.send?.({ port: typeof address === 'object' ? address?.port : undefined })
})
process.on('message', () => process.send?.({ spans, distinctSpans: ids.size, requests, unread }))
process.on('disconnect', () => process.exit(0))
