/** The request's id on responses: the ledger's, unless the upstream has set the field itself. */
import { describe, expect, it } from 'vitest'
import { rawClient, rawUpstream, split, startProxy } from './harness.ts'

const get = 'GET / HTTP/1.1\r\nHost: me\r\n\r\n'
const upgrade = 'GET / HTTP/1.1\r\nHost: me\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

async function headOf(answer: string, request = get, tellsId = true) {
  const upstream = await rawUpstream((_, socket) => socket.write(answer))
  const proxy = await startProxy(upstream.url, { tellsId })
  const client = rawClient(proxy.port, request)
  const { head } = split(await client.until((text) => text.includes('\r\n\r\n')))
  const id = proxy.seen[0]?.opening.id
  const told = [...head.matchAll(/^x-tokenweir-id: (.*)$/gim)].map(([, value]) => (value?.trim() === id ? 'the id' : value?.trim()))
  return { head, told }
}

describe('a response tells the id of its request', () => {
  it.each([
    ['of the upstream', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', get],
    ['without a body', 'HTTP/1.1 204 No Content\r\n\r\n', get],
    ['that agrees to an upgrade', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', upgrade],
    ['that refuses an upgrade', 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n', upgrade],
    ['of our own', 'no HTTP\r\n\r\n', get],
    ['of our own to an upgrade', 'no HTTP\r\n\r\n', upgrade],
    ['to a request that is refused', '', 'GET * HTTP/1.1\r\nHost: me\r\n\r\n'],
  ])('%s', async (_, answer, request) => {
    expect((await headOf(answer, request)).told).toEqual(['the id'])
  })
})

describe("the upstream's own field", () => {
  it.each([
    ['of a response', 'HTTP/1.1 200 OK\r\nX-Tokenweir-Id: inner\r\nContent-Length: 0\r\n\r\n', get],
    [
      'of an upgrade',
      'HTTP/1.1 101 Switching Protocols\r\nX-Tokenweir-Id: inner\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      upgrade,
    ],
  ])('stands, and ours is not added: %s', async (_, answer, request) => {
    expect((await headOf(answer, request)).told).toEqual(['inner'])
  })
})

it('A response tells no id where that is off.', async () => {
  const plain = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
  expect([(await headOf(plain, get, false)).told, (await headOf('no HTTP\r\n\r\n', get, false)).told]).toEqual([[], []])
})
