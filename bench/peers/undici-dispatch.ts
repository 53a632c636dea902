/**
 * The smallest honest proxy of `node:http` and undici's `dispatch`: hop-by-hop headers removed, back-pressure both ways, an aborted
 * client aborts the upstream, 502 when there is no upstream. It observes nothing. Arguments: listening port, upstream URL.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Dispatcher, Pool } from 'undici'

const [port, target = ''] = process.argv.slice(2)
const pool = new Pool(target, { pipelining: 1, headersTimeout: 0, bodyTimeout: 0 })
const hopByHop = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'expect'])
const bufferedBytesMax = 65_536

/** Name, value, name, value, … without the hop-by-hop headers and `alsoDropped`. */
function endToEnd(raw: readonly (string | Buffer)[], alsoDropped: string): string[] {
  const kept: string[] = []
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = String(raw[index])
    const lower = name.toLowerCase()
    if (!hopByHop.has(lower) && lower !== alsoDropped) kept.push(name, String(raw[index + 1]))
  }
  return kept
}

function relay(response: ServerResponse): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller) {
      response.on('close', () => {
        if (!response.writableFinished) controller.abort(new Error('client left'))
      })
      response.on('drain', () => controller.resume())
    },
    onResponseStart(controller, status) {
      if (status >= 200) response.writeHead(status, endToEnd(controller.rawHeaders as Buffer[], ''))
    },
    onResponseData(controller, chunk) {
      if (!response.write(chunk)) controller.pause()
    },
    onResponseEnd() {
      response.end()
    },
    onResponseError() {
      if (response.headersSent) response.destroy()
      else response.writeHead(502).end()
    },
  }
}

function send(request: IncomingMessage, response: ServerResponse, body: Dispatcher.DispatchOptions['body']): void {
  const headers = endToEnd(request.rawHeaders, 'host')
  pool.dispatch({ path: request.url ?? '/', method: request.method ?? 'GET', headers, body: body ?? null }, relay(response))
}

/** A body of known, small size is read first: cheaper for undici than a stream (see PERFORMANCE). */
createServer((request, response) => {
  const length = Number(request.headers['content-length'] ?? Number.NaN)
  if (!(length <= bufferedBytesMax)) {
    send(request, response, request.headers['transfer-encoding'] === undefined ? null : request)
    return
  }
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => send(request, response, chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)))
}).listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 })
