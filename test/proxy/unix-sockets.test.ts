/** Unix sockets on both sides. */
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { WebSocketServer } from 'ws'
import { unixUpstream } from '../../src/config/address.ts'
import { rawClient, rawUpstream, startProxy } from './harness.ts'

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

function socketPath() {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-unix-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'a.sock')
}

const unixAddress = (path: string, mode = 0o660) => ({ host: 'localhost', port: 0, unix: { path, mode } })

function get(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get({ socketPath: path, path: '/v1' }, async (response) => {
      let body = ''
      for await (const part of response) body += part
      resolve(body)
    })
    request.on('error', reject)
  })
}

it('a client is served on one, whose file has its mode, and is gone when the listener has closed', async () => {
  const path = socketPath()
  let seen = ''
  const upstream = await rawUpstream((text, socket) => {
    seen = text
    socket.write(ok)
  })
  const proxy = await startProxy(upstream.url, { address: unixAddress(path, 0o600) })
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(await get(path)).toBe('ok')
  expect(seen).toContain('for=unknown')
  expect((await proxy.ended()).ends).toEqual([{ outcome: { kind: 'answered' }, status: 200 }])
  await proxy.listener.close()
  expect(existsSync(path)).toBe(false)
})

it('the file that a killed process left is taken over', async () => {
  const path = socketPath()
  const abandoned = net.createServer().listen(path)
  await new Promise((resolve) => abandoned.once('listening', resolve))
  // Closing it would remove the file: its descriptor alone is closed, as when a process is killed.
  ;(abandoned as unknown as { _handle: { close(): void } })._handle.close()
  writeFileSync(`${path}.probe`, '')
  const upstream = await rawUpstream((_, socket) => void socket.write(ok))
  await startProxy(upstream.url, { address: unixAddress(path) })
  expect(await get(path)).toBe('ok')
})

it.each([
  [
    'a socket that is in use',
    (path: string) =>
      new Promise<void>((done) => {
        const server = net.createServer().listen(path, done)
        onTestFinished(() => void server.close())
      }),
  ],
  ['a file that is no socket', async (path: string) => writeFileSync(path, 'mine')],
])('%s is left alone', async (_, occupy) => {
  const path = socketPath()
  await occupy(path)
  await expect(startProxy('http://127.0.0.1:1', { address: unixAddress(path) })).rejects.toMatchObject({ code: 'EADDRINUSE' })
  expect(existsSync(path)).toBe(true)
})

it('an upstream behind one is asked as localhost, below its base path, and its connection is used again', async () => {
  const path = socketPath()
  const asked: (string | undefined)[] = []
  let connections = 0
  const server = http.createServer((request, response) => {
    asked.push(`${request.headers.host} ${request.url}`)
    response.end('ok')
  })
  server.on('connection', () => void connections++)
  server.listen(path)
  onTestFinished(() => void server.closeAllConnections())
  onTestFinished(() => void server.close())
  const proxy = await startProxy('http://unused', { route: { upstream: unixUpstream(path, '/base') } })
  const client = rawClient(proxy.port, 'GET /v1 HTTP/1.1\r\nHost: me\r\n\r\n')
  await client.until((text) => text.includes('ok'))
  client.socket.write('GET /v2 HTTP/1.1\r\nHost: me\r\n\r\n')
  await client.until((text) => text.split('200 OK').length === 3)
  await setTimeout(10)
  expect([asked, connections]).toEqual([['localhost /base/v1', 'localhost /base/v2'], 1])
  expect((await proxy.ended(2)).opening).toMatchObject({ serverAddress: path, serverPort: 0 })
})

it('a socket that is not there is an upstream that cannot be reached', async () => {
  const proxy = await startProxy('http://unused', { route: { upstream: unixUpstream('/nowhere/a.sock', '') } })
  const client = rawClient(proxy.port, 'GET /v1 HTTP/1.1\r\nHost: me\r\n\r\n')
  expect(await client.until((text) => text.includes('}}'))).toContain('x-tokenweir-error: upstream_connect')
})

it('an upgrade goes through one', async () => {
  const path = socketPath()
  const server = http.createServer().listen(path)
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`got ${data}`)))
  onTestFinished(() => void server.close())
  const proxy = await startProxy('http://unused', { route: { upstream: unixUpstream(path, '') } })
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/v1/realtime`)
  onTestFinished(() => socket.close())
  socket.addEventListener('open', () => socket.send('hello'))
  const answer = await new Promise((resolve) => socket.addEventListener('message', ({ data }) => resolve(data)))
  expect(answer).toBe('got hello')
})
