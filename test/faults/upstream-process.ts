/** A gateway in a process of its own that answers, delays, breaks off and hangs as the query of a request says: `?as=KIND`. */
import http, { type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const piece = (more: object) =>
  `data: ${JSON.stringify({ id: 'chatcmpl-f1', object: 'chat.completion.chunk', model: 'made-up-1', ...more })}\n\n`
const first = piece({ choices: [{ index: 0, delta: { content: 'Hello' }, finish_reason: null }] })
const last =
  piece({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }) +
  piece({ choices: [], usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 } }) +
  'data: [DONE]\n\n'
const whole = JSON.stringify({
  ...{ id: 'chatcmpl-f2', object: 'chat.completion', model: 'made-up-1' },
  choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'Hello' } }],
  usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
})

function stream(response: ServerResponse): ServerResponse {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(first)
  return response
}

const answers: Readonly<Record<string, (response: ServerResponse) => void>> = {
  sse: (response) => stream(response).end(last),
  json: (response) => response.writeHead(200, { 'content-type': 'application/json', 'content-length': whole.length }).end(whole),
  /** Some hundred milliseconds long. */
  slow(response) {
    stream(response)
    let more = 5
    const timer = setInterval(() => {
      if (--more > 0 && !response.destroyed) response.write(first)
      else {
        clearInterval(timer)
        response.end(last)
      }
    }, 60)
  },
  /** Seconds long. */
  long(response) {
    stream(response)
    setTimeout(() => response.end(last), 1500)
  },
  /** Until the client leaves, or the sidecar cuts it. */
  hold: (response) => void stream(response),
  /** As `hold`, and a piece every two seconds. */
  drip(response) {
    stream(response)
    const timer = setInterval(() => response.write(first), 2000)
    response.on('close', () => clearInterval(timer))
  },
  /** Some MiB. */
  big: (response) => response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(Buffer.alloc(8 << 20)),
  refused: (response) =>
    response.writeHead(429, { 'content-type': 'application/json' }).end('{"error":{"type":"rate_limit","message":"no"}}'),
  /** Breaks off in the middle of an answer. */
  cut(response) {
    stream(response)
    setTimeout(() => response.destroy(), 5)
  },
  /** Hangs up without an answer. */
  reset: (response) => void response.destroy(),
}

const server = http.createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
  const kind = new URL(request.url ?? '/', 'http://upstream').searchParams.get('as') ?? 'sse'
  response.on('error', () => undefined)
  request.resume().on('end', () => (answers[kind] ?? answers['sse'])?.(response))
})
// Echoes nothing: an empty object for each piece that comes.
server.on('upgrade', (_request, socket) => {
  socket.on('error', () => undefined)
  socket.on('end', () => socket.end())
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
  socket.on('data', () => socket.write(Buffer.from([0x81, 2, 0x7b, 0x7d])))
})
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on('disconnect', () => process.exit(0))
