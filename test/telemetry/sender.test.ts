import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { merged, type Packet } from '../../src/telemetry/packet.ts'
import { createSender } from '../../src/telemetry/sender.ts'
import { createTransport } from '../../src/telemetry/transport.ts'
import { open } from '../store/harness.ts'
import { type Answer, type Received, startCollector } from './collector.ts'

/** A packet of one record that has a name, as the JSON of an export. */
const named = (name: string): Packet => ({
  signal: 'traces',
  encoding: 'json',
  records: 1,
  body: Buffer.from(JSON.stringify({ resourceSpans: [{ name }] })),
})
const namesIn = ({ body }: Received): string[] => JSON.parse(body.toString()).resourceSpans.map(({ name }: { name: string }) => name)

async function start(answer: number | ((received: Received) => Answer), protocol: 'http/json' | 'http/protobuf' | 'grpc' = 'http/json') {
  const collector = await startCollector(answer)
  for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) vi.stubEnv(name, undefined)
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.url)
  onTestFinished(() => void vi.unstubAllEnvs())
  const opened = open()
  const transport = await createTransport('traces', protocol)
  onTestFinished(() => transport.close())
  const { store, meter } = opened
  const lines: string[] = []
  const begin = () =>
    createSender({
      signal: 'traces',
      transport,
      spool: store.spool,
      meter,
      report: (line) => lines.push(line),
      recordsMax: 512,
      delayMs: 1,
      backoff: { firstMs: 1, maxMs: 4 },
    })
  const write = (...names: string[]) => {
    for (const name of names) store.addPacket(named(name))
    store.commit()
  }
  const total = (name: 'delivered' | 'dropped' | 'failures') => meter.total(`tokenweir.spool.${name}`)
  const isEmpty = () => store.spool.depth('traces') === 0
  return { collector, begin, write, total, isEmpty, lines, store }
}

describe('the sender', () => {
  it('sends several packets in one request, the oldest first', async () => {
    const { collector, begin, write, total, isEmpty } = await start(200)
    write('a', 'b')
    write('c')
    begin()
    await expect.poll(isEmpty).toBe(true)
    expect([collector.received.map(namesIn), total('delivered')]).toEqual([[['a', 'b', 'c']], 3])
  })

  it.each([401, 403, 404, 405, 408, 429, 500, 503])('sends again after %i, for as long as it takes, each once', async (status) => {
    let refusals = 12
    const { collector, begin, write, total, isEmpty, lines } = await start(() => ({ status: refusals-- > 0 ? status : 200 }))
    write('a', 'b')
    begin()
    await expect.poll(isEmpty).toBe(true)
    expect([collector.received.length, total('delivered'), total('dropped'), total('failures')]).toEqual([13, 2, 0, 12])
    expect([...new Set(lines)]).toEqual([
      expect.stringMatching(new RegExp(`^The spans cannot be exported: ${status} .*They wait in the spool.$`)),
      'The spans can be exported again.',
    ])
  })

  it.each([400, 413, 422])('finds the one packet that is answered %i, drops it and delivers the others once', async (status) => {
    const { collector, begin, write, total, isEmpty } = await start((one) => ({ status: namesIn(one).includes('poison') ? status : 200 }))
    const good = Array.from({ length: 40 }, (_, index) => `good ${index}`)
    write(...good.slice(0, 23), 'poison', ...good.slice(23))
    begin()
    await expect.poll(isEmpty).toBe(true)
    const taken = collector.received.map(namesIn).filter((names) => !names.includes('poison'))
    expect([taken.flat(), total('delivered'), total('dropped')]).toEqual([good, 40, 1])
    expect(collector.received.length).toBeLessThan(25)
  })

  it('counts what a partial success rejected, and sends nothing of it again', async () => {
    const body = JSON.stringify({ partialSuccess: { rejectedSpans: '2', errorMessage: 'too old' } })
    const { collector, begin, write, total, isEmpty, lines } = await start(() => ({ status: 200, body }))
    write('a', 'b', 'c')
    begin()
    await expect.poll(isEmpty).toBe(true)
    expect([collector.received.length, total('delivered'), total('dropped')]).toEqual([1, 1, 2])
    expect(lines).toEqual(['The collector rejected 2 spans: too old'])
  })

  it.each(['http/protobuf', 'http/json'] as const)('sends what another protocol wrote as that, over %s', async (protocol) => {
    const { collector, begin, write, isEmpty, store } = await start(200, protocol)
    write('a')
    store.addPacket({ signal: 'traces', encoding: 'protobuf', records: 1, body: Buffer.from([10, 0]) })
    write('b')
    const sender = begin()
    expect(await sender.finish()).toBe(0)
    expect([isEmpty(), collector.received.map(({ headers }) => headers['content-type'])]).toEqual([
      true,
      ['application/json', 'application/x-protobuf', 'application/json'],
    ])
  })

  it('does not try again at a stop what has just failed', async () => {
    const { collector, begin, write, store } = await start(503)
    write('a')
    expect(await begin().finish()).toBe(1)
    expect([collector.received.length, store.spool.depth('traces')]).toEqual([1, 1])
  })
})

describe('merged requests', () => {
  it('are one request, byte for byte what they were', () => {
    const texts = [{ resourceSpans: [{ a: ']' }, { b: 1 }] }, { resourceSpans: [{ c: '[' }] }].map((one) =>
      Buffer.from(JSON.stringify(one)),
    )
    expect(JSON.parse(Buffer.from(merged('json', texts)).toString())).toEqual({ resourceSpans: [{ a: ']' }, { b: 1 }, { c: '[' }] })
    expect([...merged('protobuf', [Buffer.from([1, 2]), Buffer.from([3])])]).toEqual([1, 2, 3])
  })
})
