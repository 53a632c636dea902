/** The same responses through node:http's own client and through ours, over real sockets. */
import http from 'node:http'
import net from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { send, upstreamOf } from './collect.ts'
import { samples } from './responses.ts'

const server = net.createServer((socket) => {
  socket.on('error', () => undefined)
  socket.once('data', (data) => {
    const sample = samples[Number(/\/(\d+) /.exec(data.toString('latin1'))?.[1])]
    socket.end(Buffer.from(sample?.wire ?? '', 'latin1'))
  })
})
let port = 0
beforeAll(async () => {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  port = (server.address() as net.AddressInfo).port
})
afterAll(() => void server.close())

interface Seen {
  readonly status: number
  readonly statusText: string
  readonly fields: readonly string[]
  readonly body: string
  readonly trailers: readonly string[]
}

/** `undefined` when it does not accept the response. */
function byNode(method: string, path: string): Promise<Seen | undefined> {
  return new Promise((resolve) => {
    const request = http.request({ host: '127.0.0.1', port, method, path, agent: false, maxHeaderSize: 65_536 }, (answer) => {
      let body = ''
      answer.setEncoding('latin1')
      answer.on('data', (text) => void (body += text))
      answer.on('error', () => resolve(undefined))
      answer.on('end', () => {
        const { statusCode: status = 0, statusMessage: statusText = '', rawHeaders: fields, rawTrailers: trailers } = answer
        resolve({ status, statusText, fields, body, trailers })
      })
    })
    request.maxHeadersCount = 0
    request.on('error', () => resolve(undefined))
    request.on('upgrade', (_, socket) => {
      socket.destroy()
      resolve(undefined)
    })
    request.end()
  })
}

async function byOurs(method: string, path: string): Promise<Seen | undefined> {
  const outcome = await send(upstreamOf(`http://127.0.0.1:${port}`), { method, path }).outcome
  if (typeof outcome === 'string') return undefined
  const { status, statusText, fields, body, trailers } = outcome
  return { status, statusText, fields, body, trailers }
}

describe.each(samples.map((sample, i) => ({ ...sample, path: `/${i}` })))('$name', ({ method = 'GET', path, expected, node }) => {
  it(node === undefined ? 'is the same to node:http and to us' : `differs: ${node.because}`, async () => {
    const [theirs, ours] = [await byNode(method, path), await byOurs(method, path)]
    const accepts = typeof expected !== 'string'
    expect([ours !== undefined, theirs !== undefined]).toEqual([accepts, node?.accepts ?? accepts])
    if (node === undefined) expect(ours).toEqual(theirs)
  })
})
