/** What is read from a connection reaches node:http a few heads at a time, and whole. */
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import { expect, it, onTestFinished } from 'vitest'
import { headsAtOnce, Reads, readInTurns } from '../../src/proxy/reads.ts'
import { certificate } from './certificate.ts'

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: me\r\n\r\n`

/** Its port. */
async function listening(server: http.Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as net.AddressInfo).port
}

/** Answers a request with its path and how long its body was. Counts the requests of each turn of the event loop. */
async function scene(server: http.Server, over: 'connection' | 'secureConnection') {
  const turns: number[] = []
  let now = 0
  const upgraded: string[] = []
  server.on(over, readInTurns)
  server.on('request', (request, response) => {
    if (now++ === 0) setImmediate(() => turns.push(now) && (now = 0))
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    request.on('end', () => response.end(`<${request.url} ${bytes}>`))
  })
  server.on('upgrade', (_request, socket, head) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n')
    upgraded.push(head.toString())
    socket.on('data', (chunk: Buffer) => upgraded.push(chunk.toString()))
  })
  const port = await listening(server)
  return { port, turns, upgraded }
}

type Connect = (options: net.TcpNetConnectOpts) => net.Socket

async function talk(port: number, bytes: string | Buffer, isDone: (text: string) => boolean, connect: Connect = net.connect) {
  const socket = connect({ port, host: '127.0.0.1' })
  onTestFinished(() => void socket.destroy())
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  socket.on('error', () => undefined)
  socket.write(bytes)
  await expect.poll(() => isDone(text), { timeout: 5000, interval: 5 }).toBe(true)
  return text
}

const secureConnect: Connect = (options) => tls.connect({ ...options, rejectUnauthorized: false })
const answered = (text: string) => [...text.matchAll(/<(\S+) (\d+)>/g)].map(([, path, bytes]) => `${path} ${bytes}`)

it.each([
  ['plain', () => http.createServer(), 'connection', net.connect],
  ['TLS', () => https.createServer(certificate), 'secureConnection', secureConnect],
] as const)('hands over sixteen heads in a turn: %s', async (_, createServer, over, connect) => {
  const { port, turns } = await scene(createServer(), over)
  const paths = Array.from({ length: 500 }, (_, n) => `/${n}`)
  const text = await talk(port, paths.map(get).join(''), (got) => got.includes('</499 '), connect)
  expect(answered(text)).toEqual(paths.map((path) => `${path} 0`))
  expect(Math.max(...turns)).toBeLessThanOrEqual(16)
})

it('reads no more while some is kept, and loses nothing of what comes later', async () => {
  const server = http.createServer()
  const { port, turns } = await scene(server, 'connection')
  let handed = 0
  let aheadMax = 0
  server.on('request', ({ socket, url }) => {
    handed += get(url as string).length
    aheadMax = Math.max(aheadMax, socket.bytesRead - handed)
  })
  const paths = Array.from({ length: 20_000 }, (_, n) => `/${n}`)
  const text = await talk(port, paths.map(get).join(''), (got) => got.includes('</19999 '))
  expect(answered(text)).toEqual(paths.map((path) => `${path} 0`))
  expect(aheadMax).toBeLessThanOrEqual(64 * 1024)
  // A read may come in the turn in which the last of the one before is handed over.
  expect(Math.max(...turns)).toBeLessThanOrEqual(32)
})

it('keeps bodies whole, whatever is in them', async () => {
  const { port } = await scene(http.createServer(), 'connection')
  const body = '\r\n\r\n'.repeat(50_000)
  const post = (path: string) => `POST ${path} HTTP/1.1\r\nHost: me\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const text = await talk(port, post('/a') + get('/b') + post('/c') + get('/d'), (got) => got.includes('</d '))
  expect(answered(text)).toEqual(['/a 200000', '/b 0', '/c 200000', '/d 0'])
})

it('lets the end of what a client sends come behind it', async () => {
  const { port } = await scene(http.createServer(), 'connection')
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  onTestFinished(() => void socket.destroy())
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  socket.end(Array.from({ length: 300 }, (_, n) => get(`/${n}`)).join(''))
  await once(socket, 'end')
  expect(answered(text)).toHaveLength(300)
})

it('hands on what comes behind an upgrade', async () => {
  const { port, upgraded } = await scene(http.createServer(), 'connection')
  const upgrade = 'GET /socket HTTP/1.1\r\nHost: me\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'
  const behind = 'hello\r\n\r\n'.repeat(40)
  await talk(port, upgrade + behind, () => upgraded.join('') === behind)
})

it('forgets what it keeps of a connection that is closed', async () => {
  const server = http.createServer()
  const { port, turns } = await scene(server, 'connection')
  let asked = 0
  server.on('request', (request) => {
    if (++asked === 20) request.socket.destroy()
  })
  const socket = net.connect({ port, host: '127.0.0.1' })
  socket.on('error', () => undefined)
  socket.resume()
  socket.write(Array.from({ length: 400 }, (_, n) => get(`/${n}`)).join(''))
  await new Promise((resolve) => socket.on('close', resolve))
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(asked).toBeLessThanOrEqual(32)
  expect(Math.max(...turns)).toBeLessThanOrEqual(16)
})

it('begins with the first connection on which many come at once, for that and for those that are opened later', async () => {
  const server = http.createServer()
  const reads = new Reads()
  const sockets: net.Socket[] = []
  let asked = 0
  server.on('connection', (socket) => {
    sockets.push(socket)
    reads.begun(socket)
    asked = 0
  })
  server.on('request', ({ socket }, response) => {
    if (++asked === headsAtOnce) reads.pipelined(socket)
    response.end('<ok 0>')
  })
  const port = await listening(server)
  const isInTurns = () => sockets.map((socket) => Object.hasOwn(socket, 'push'))
  const ask = (count: number) => talk(port, get('/').repeat(count), (text) => answered(text).length === count)
  await ask(headsAtOnce - 1)
  await ask(headsAtOnce - 1)
  expect(isInTurns()).toEqual([false, false])
  await ask(100)
  expect(isInTurns()).toEqual([false, false, true])
  await ask(1)
  expect(isInTurns()).toEqual([false, false, true, true])
})

it('leaves a connection alone that node:http has handed over', async () => {
  const server = http.createServer()
  const reads = new Reads()
  const received: string[] = []
  server.on('upgrade', (_request, socket) => {
    reads.pipelined(socket as net.Socket)
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n')
    setTimeout(() => socket.on('data', (chunk: Buffer) => received.push(chunk.toString())), 50)
  })
  const socket = net.connect({ port: await listening(server), host: '127.0.0.1' })
  onTestFinished(() => void socket.destroy())
  socket.write('GET /socket HTTP/1.1\r\nHost: me\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
  await once(socket, 'data')
  socket.write('hello')
  await expect.poll(() => received.join(''), { timeout: 2000 }).toBe('hello')
})
