/** What is held of all request bodies together has a limit: clients that hold back the end of theirs cost no more. */
import { describe, expect, it } from 'vitest'
import { Cell } from '../../src/lib/shared-counters.ts'
import { createCapabilities } from '../../src/proxy/inject/capabilities.ts'
import { createUsageInjector } from '../../src/proxy/inject/editor.ts'
import { rawClient, rawUpstream, split, startProxy, until } from './harness.ts'

const path = '/v1/chat/completions'
const head = (length: number) => `POST ${path} HTTP/1.1\r\nHost: me\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`
const prompt = (bytes: number) => `{"stream":true,"prompt":"${'p'.repeat(bytes)}"}`
const answer = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'

/** An upstream that answers each request whose body is whole, and a proxy that would ask for usage. */
async function scene(heldBytes: number, answers = true) {
  const arrived: string[] = []
  const upstream = await rawUpstream((_, socket, all) => {
    const { head, body } = split(all)
    if (!all.includes('\r\n\r\n') || body.length < Number(/content-length: (\d+)/i.exec(head)?.[1])) return
    arrived.push(body)
    if (answers) socket.write(answer)
  })
  const capabilities = createCapabilities(() => 0)
  for (let n = 0; n < 2; n++) capabilities.saw(`${upstream.url}${path}`, false)
  const proxy = await startProxy(upstream.url, { editor: createUsageInjector(capabilities), heldBytes })
  return { upstream, proxy, arrived }
}

describe('bodies that are held back before their last byte', () => {
  it('are held up to one limit for all of them; beyond it they go on as they come, unchanged, which is noted and counted', async () => {
    const { upstream, proxy, arrived } = await scene(1_000_000)
    const body = prompt(400_000)
    const clients = Array.from({ length: 5 }, () => rawClient(proxy.port, head(body.length) + body.slice(0, -1)))
    await until(() => upstream.connections.reduce((bytes, { bytesRead }) => bytes + bytesRead, 0) > 3 * 400_000)
    expect(upstream.connections.length).toBe(3)
    expect(proxy.bodies.heldBytes).toBeLessThanOrEqual(1_000_000)
    expect(proxy.cells[Cell.injectionSkippedBudget]).toBe(3)
    for (const { socket } of clients) socket.write(body.slice(-1))
    await proxy.ended(5)
    expect(proxy.seen.map(({ notes }) => notes).filter((notes) => notes.includes('usage_injection_skipped')).length).toBe(3)
    expect(arrived.map((one) => one === body).sort()).toEqual([false, false, true, true, true])
    expect(proxy.bodies.heldBytes).toBe(0)
  })

  it('are held up to the limit of now', async () => {
    const { proxy } = await scene(1_000_000)
    const body = prompt(400_000)
    const first = rawClient(proxy.port, head(body.length) + body.slice(0, -1))
    await until(() => proxy.bodies.heldBytes > 350_000)
    proxy.bodies.limit(500_000)
    rawClient(proxy.port, head(body.length) + body.slice(0, -1))
    await until(() => proxy.cells[Cell.injectionSkippedBudget] === 1)
    first.socket.destroy()
    await proxy.ended()
  })

  it('make no small body go unchanged: the largest gives way', async () => {
    const { proxy, arrived } = await scene(300_000)
    const large = prompt(250_000)
    const hog = rawClient(proxy.port, head(large.length) + large.slice(0, -1))
    await until(() => proxy.bodies.heldBytes > 250_000)
    const small = prompt(60_000)
    await rawClient(proxy.port, head(small.length) + small).until((text) => text.endsWith('{}'))
    expect([arrived.length, arrived[0]?.includes('include_usage')]).toEqual([1, true])
    hog.socket.write(large.slice(-1))
    await hog.until((text) => text.endsWith('{}'))
    expect(arrived[1]).toBe(large)
  })

  it('are no more held when their clients have left', async () => {
    const { proxy } = await scene(1_000_000)
    const body = prompt(100_000)
    const clients = Array.from({ length: 3 }, () => rawClient(proxy.port, head(body.length) + body.slice(0, -1)))
    await until(() => proxy.bodies.heldBytes > 300_000)
    for (const { socket } of clients) socket.destroy()
    await until(() => proxy.bodies.heldBytes === 0)
  })
})

it('a body that has gone on unchanged is held no more', async () => {
  const { proxy, arrived } = await scene(1_000_000, false)
  const body = prompt(100_000).replace('true', 'null')
  rawClient(proxy.port, head(body.length) + body)
  await until(() => arrived.length === 1 && proxy.bodies.heldBytes === 0)
})

it('one that was changed counts until its response begins, for until then it may be sent again', async () => {
  const { upstream, proxy, arrived } = await scene(1_000_000, false)
  const body = prompt(100_000)
  const client = rawClient(proxy.port, head(body.length) + body)
  await until(() => arrived.length === 1)
  expect(proxy.bodies.heldBytes).toBeGreaterThan(100_000)
  upstream.connections[0]?.write(answer.replace('{}', '{'))
  await client.until((text) => text.endsWith('{'))
  expect(proxy.bodies.heldBytes).toBe(0)
})

it('many pieces of one byte cost what they take in memory, not only their bytes', async () => {
  const { proxy } = await scene(1_000_000)
  const pieces = '1\r\na\r\n'.repeat(20_000)
  rawClient(proxy.port, `${head(0).replace('Content-Length: 0', 'Transfer-Encoding: chunked')}${pieces}`)
  await until(() => proxy.cells[Cell.injectionSkippedBudget] === 1)
})

it('a body of very many keys is not looked through: it goes on as it comes, unchanged, which is noted and counted', async () => {
  const { proxy, arrived } = await scene(64_000_000)
  const body = `{"stream":true,${Array.from({ length: 50_000 }, (_, n) => `"k${n}":1,`).join('')}"z":1}`
  await rawClient(proxy.port, head(body.length) + body).until((text) => text.endsWith('{}'))
  expect([arrived[0] === body, proxy.cells[Cell.injectionSkippedSize], (await proxy.ended()).notes]).toEqual([
    true,
    1,
    ['usage_injection_skipped'],
  ])
})
