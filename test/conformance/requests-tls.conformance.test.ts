/** The same odd requests over TLS: they are judged as without. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expectAllowed, type Outcome, playAll, playRequest } from './play.ts'
import { type Running, startSecureTokenweir } from './proxies.ts'
import { type OddRequest, oddRequests } from './requests.ts'
import { fieldsNamed } from './wire.ts'

let proxy: Running
let outcomeOf: ReturnType<typeof playAll<OddRequest>>
beforeAll(async () => {
  proxy = await startSecureTokenweir()
  outcomeOf = playAll([proxy], oddRequests, playRequest)
})
afterAll(() => proxy.stop())

describe('odd requests over TLS', () => {
  it.each(oddRequests.map((row, index) => [row.name, row, index] as const))('%s', async (_name, row, index) => {
    expectAllowed(row, await (outcomeOf('tokenweir', index) as Promise<Outcome>))
  })

  it('each that crossed has its row, once', async () => {
    await Promise.all(oddRequests.map((_, index) => outcomeOf('tokenweir', index)))
    const spans = proxy.upstream.seen.map(({ request }) => fieldsNamed(request, 'traceparent')[0]?.split('-')[2])
    const isRecorded = () => {
      const recorded = new Set(proxy.product?.ledgerRows().map((row) => row['end_reason'] && row['span_id']))
      return spans.filter((span) => !recorded.has(span as string))
    }
    await expect.poll(isRecorded).toEqual([])
    expect(new Set(spans).size).toBe(spans.length)
  })
})
