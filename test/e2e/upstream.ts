/** A gateway for end-to-end tests: answers every chat with the same short stream, and keeps the heads that it got. */
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

export interface ChatUpstream {
  readonly url: string
  readonly heads: readonly http.IncomingHttpHeaders[]
}

const chunk = (more: object) =>
  `data: ${JSON.stringify({ id: 'chatcmpl-e1', object: 'chat.completion.chunk', model: 'made-up-1', ...more })}\n\n`
const stream =
  chunk({ choices: [{ index: 0, delta: { content: 'Hello' }, finish_reason: null }] }) +
  chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }) +
  chunk({ choices: [], usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 } }) +
  'data: [DONE]\n\n'

/** `headers` go with every answer; the stream ends `lastMs` after its head. */
export async function startChatUpstream(headers: Record<string, string> = {}, lastMs = 0): Promise<ChatUpstream> {
  const heads: http.IncomingHttpHeaders[] = []
  const server = http.createServer((request, response) => {
    heads.push(request.headers)
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'text/event-stream', ...headers })
      response.flushHeaders()
      setTimeout(() => response.end(stream), lastMs)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, heads }
}

export const chat = (model = 'made-up-1') => ({
  method: 'POST',
  body: JSON.stringify({ model, stream: true, stream_options: { include_usage: true }, messages: [] }),
})
