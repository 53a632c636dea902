/** What happens where file descriptors, or places for connections, are few. */
import { execFile } from 'node:child_process'
import { expect, it } from 'vitest'
import { Cell, cellCount } from '../../src/lib/shared-counters.ts'
import { createLack, placesMax } from '../../src/proxy/descriptors.ts'
import { rawClient, rawUpstream, startProxy, until } from './harness.ts'

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: me\r\n\r\n`

it('leaves room for upstreams, ledger and admin port within the limit of the process', async () => {
  expect([64, 1024, 20_000].map((limit) => placesMax(limit))).toEqual([48, 832, 19_808])
  const script = `import { placesMax } from './src/proxy/descriptors.ts'; console.log(placesMax())`
  const shown = await new Promise((done) =>
    execFile('sh', ['-c', 'ulimit -n 500; exec "$0" --input-type=module -e "$1"', process.execPath, script], (_, stdout) =>
      done(stdout.trim()),
    ),
  )
  expect(shown).toBe('308')
})

it('reports a lack once until there was none for a minute, and counts each', () => {
  let now = 0
  const reports: string[] = []
  const cells = new Int32Array(new SharedArrayBuffer(cellCount * 4))
  const lacking = createLack(
    cells,
    (sentence) => reports.push(sentence),
    () => now,
  )
  for (now of [0, 1, 50_000, 100_000]) lacking()
  expect(reports.length).toBe(1)
  now = 170_000
  lacking()
  expect([reports.length, cells[Cell.withoutDescriptor]]).toEqual([2, 5])
})

it('closes connections that have sent nothing, or wait for a next request, before it refuses one', async () => {
  const upstream = await rawUpstream((_, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
  const proxy = await startProxy(upstream.url, { placesMax: 5 })
  const idle = rawClient(proxy.port, get('/'))
  await idle.until((text) => text.endsWith('ok'))
  const flood: ReturnType<typeof rawClient>[] = []
  for (let n = 0; n < 20; n++) {
    const one = rawClient(proxy.port)
    await until(() => !one.socket.connecting)
    flood.push(one)
  }
  await until(() => flood.filter(({ socket }) => socket.destroyed).length >= 16)
  const good = rawClient(proxy.port, get('/'))
  expect(await good.until((text) => text.endsWith('ok'))).toContain('HTTP/1.1 200 OK')
  expect(proxy.reports.length).toBe(1)
})

it('refuses a connection where every other is in use, and those go on', async () => {
  const held: (() => void)[] = []
  const upstream = await rawUpstream((_, socket) => void held.push(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')))
  const proxy = await startProxy(upstream.url, { placesMax: 9 })
  const busy: ReturnType<typeof rawClient>[] = []
  for (let n = 1; n <= 3; n++) {
    busy.push(rawClient(proxy.port, get('/')))
    await until(() => held.length === n)
  }
  expect(await rawClient(proxy.port, get('/')).closed()).toBe('')
  for (const answer of held) answer()
  for (const client of busy) expect(await client.until((text) => text.endsWith('ok'))).toContain('200 OK')
  expect(proxy.cells[Cell.withoutDescriptor]).toBeGreaterThan(0)
})
