/** Odd requests to tokenweir, nginx and haproxy: what may cross, what is answered, and who is the laxest. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { skipLoudly } from '../faults/settings.ts'
import { expectAllowed, type Outcome, playAll, playRequest, statusesOf } from './play.ts'
import { isInstalled, peerNames, type Running, startProxies } from './proxies.ts'
import { writeReport } from './report.ts'
import { type OddRequest, oddRequests } from './requests.ts'
import { fieldsNamed, type Message } from './wire.ts'

let proxies: readonly Running[] = []
let outcomeOf: ReturnType<typeof playAll<OddRequest>>

beforeAll(async () => {
  proxies = await startProxies()
  outcomeOf = playAll(proxies, oddRequests, playRequest)
})

afterAll(async () => {
  await writeReport('requests', oddRequests, outcomeOf, ({ answered, seen }) => {
    const crossed = seen.length === 0 ? '' : seen.length === 1 ? ' ✓' : ` ✓${seen.length}`
    return `${compact(statusesOf(answered)) || '–'}${crossed}`
  })
  await Promise.all(proxies.map((proxy) => proxy.stop()))
})

/** `200,200,200` as `200 × 3`. */
const compact = (statuses: string) => statuses.replace(/^(\d+)(,\1)+$/, (all, one: string) => `${one} × ${all.split(',').length}`)

const fieldOf = (request: Message | undefined, name: string) => {
  const values = request === undefined ? [] : fieldsNamed(request, name)
  return values.length === 0 ? undefined : values.join(', ')
}

describe('odd requests', () => {
  it('are at least 200, each with a name of its own', () => {
    expect(oddRequests.length).toBeGreaterThanOrEqual(200)
    expect(new Set(oddRequests.map(({ name }) => name)).size).toBe(oddRequests.length)
  })

  it.each(oddRequests.map((row, index) => [row.name, row, index] as const))('%s', async (_name, row, index) => {
    const ours = await (outcomeOf('tokenweir', index) as Promise<Outcome>)
    const { seen } = ours
    expectAllowed(row, ours)
    for (const [name, value] of Object.entries(row.fields ?? {})) expect([name, fieldOf(seen[0]?.request, name)]).toEqual([name, value])
    const others = await Promise.all(peerNames.map((name) => outcomeOf(name, index)))
    if (others.every((other) => other !== undefined)) {
      const most = Math.max(...others.map((other) => other?.seen.length ?? 0))
      expect(seen.length, `laxer than ${peerNames.join(' and ')}, which let ${most} cross`).toBeLessThanOrEqual(most)
    }
  })

  it('each that crossed has its row, once', async () => {
    await Promise.all(oddRequests.map((_, index) => outcomeOf('tokenweir', index)))
    const ours = proxies.find(({ name }) => name === 'tokenweir') as Running
    const spans = ours.upstream.seen.map(({ request }) => fieldOf(request, 'traceparent')?.split('-')[2])
    const rows = (await ours.product?.closedRows(spans.length)) ?? []
    const recorded = new Set(rows.map((row) => row['span_id']))
    expect([spans.length, new Set(spans).size, spans.filter((span) => !recorded.has(span as string))]).toEqual([
      spans.length,
      spans.length,
      [],
    ])
  })

  it.for(peerNames)('are compared with %s', (name, { skip }) => {
    if (!isInstalled(name)) skipLoudly(skip, `${name} is not installed.`)
    expect(proxies.map((proxy) => proxy.name)).toContain(name)
  })
})
