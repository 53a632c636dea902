/** Plays one row to one proxy, and judges what came of it. */
import { expect } from 'vitest'
import { type Answered, talk } from './client.ts'
import type { Name, Running } from './proxies.ts'
import type { OddRequest } from './requests.ts'
import type { Seen } from './upstream.ts'
import { type Message, statusOf } from './wire.ts'

export interface Outcome {
  readonly answered: Answered
  /** What crossed, without our own probes. */
  readonly seen: readonly Seen[]
  /** Bytes that crossed and can be read in two ways: some upstream reads more requests in them than the proxy did. */
  readonly ambiguous: string | undefined
  /** The upstream read more requests than the client got answers. */
  readonly smuggled: string | undefined
  /** An answer went to another request than its own. */
  readonly poisoned: string | undefined
}

/** How long to wait for what is wanted, and for what may not come at all. */
export const patientMs = 10_000
export const silentMs = 350
export const settleMs = 40

export const probeTarget = (name: string | number) => `/probe/${name}`
export const probe = (name: string | number, fields = '') => `GET ${probeTarget(name)} HTTP/1.1\r\nHost: probe\r\n${fields}\r\n`
const isProbe = ({ summary }: Seen) => summary.startsWith('GET /probe/')

function echoed({ body }: Message): string | undefined {
  try {
    return (JSON.parse(body) as { saw?: string }).saw
  } catch {
    return undefined
  }
}

/** Another client, on whatever connection to the upstream is free: it must get the answer to its own request. */
export async function probed({ port, name, isSecure = false }: Running, target: string | number): Promise<string | undefined> {
  const { answers, fault } = await talk({
    ...{ port, isSecure, parts: [probe(target, 'Connection: close\r\n')], settleMs: 0 },
    quietMs: name === 'tokenweir' ? patientMs : 2000,
    isDone: (answered) => answered.answers.length > 0,
  })
  const [answer] = answers
  const got = answer === undefined ? fault : (echoed(answer) ?? answer.start)
  return got === `GET ${probeTarget(target)}` ? undefined : `the next client got ${JSON.stringify(got)}`
}

/** Talks by `run`, waits until enough has crossed, and lets another client ask behind it. */
export async function observed(
  proxy: Running,
  target: string | number,
  run: () => Promise<Answered>,
  isEnough: (seen: readonly Seen[]) => boolean = () => true,
): Promise<Outcome> {
  const { upstream } = proxy
  const [seenFrom, faultsFrom] = [upstream.seen.length, upstream.faults.length]
  const answered = await run()
  const seenNow = () => upstream.seen.slice(seenFrom).filter((one) => !isProbe(one))
  for (const until = performance.now() + patientMs; !isEnough(seenNow()) && performance.now() < until; )
    await new Promise((resolve) => setTimeout(resolve, 10))
  const wrongProbe = await probed(proxy, target)
  const seen = seenNow()
  const { answers } = answered
  const foreign = answers
    .map(echoed)
    .find((saw) => saw !== undefined && saw !== `GET ${probeTarget(target)}` && !seen.some(({ summary }) => summary === saw))
  return {
    answered,
    seen,
    ambiguous: upstream.faults.slice(faultsFrom).join(', ') || undefined,
    smuggled: seen.length > answers.length ? `${seen.length} requests crossed, ${answers.length} were answered` : undefined,
    poisoned: wrongProbe ?? (foreign === undefined ? undefined : `the answer to ${foreign} came`),
  }
}

/** Each proxy plays the rows one after the other, and those that wait for silence at once behind them; all proxies at the same time. */
export function playAll<Row extends { readonly name: string; readonly slow?: boolean }>(
  proxies: readonly Running[],
  rows: readonly Row[],
  play: (proxy: Running, row: Row, index: number) => Promise<Outcome>,
): (name: Name, index: number) => Promise<Outcome> | undefined {
  const lanes = new Map<Name, Promise<Outcome>[]>()
  for (const proxy of proxies) {
    const all = rows.map((row, index) => ({ row, index, ...Promise.withResolvers<Outcome>() }))
    for (const { promise } of all) promise.catch(() => undefined) // its own test reports it
    const begin = ({ row, index, resolve, reject }: (typeof all)[number]) => play(proxy, row, index).then(resolve, reject)
    void (async () => {
      for (const one of all) if (one.row.slow !== true) await begin(one)
      for (const one of all) if (one.row.slow === true) void begin(one)
    })()
    lanes.set(
      proxy.name,
      all.map(({ promise }) => promise),
    )
  }
  return (name, index) => lanes.get(name)?.[index]
}

export const statusesOf = ({ answers }: Answered) => answers.map(statusOf).join(',')

/** Plays an odd request. */
export function playRequest(proxy: Running, row: OddRequest, index: number): Promise<Outcome> {
  const isOurs = proxy.name === 'tokenweir'
  const wanted = row.answers.split('|').map((one) => (one === '' ? 0 : one.split(',').length))
  const answersMin = Math.max(...wanted)
  const run = () =>
    talk({
      ...{ port: proxy.port, isSecure: proxy.isSecure === true, parts: row.parts, halfClose: row.halfClose === true, settleMs },
      quietMs: wanted.includes(0) ? silentMs : isOurs ? patientMs : patientMs / 5,
      isDone: ({ answers }) => answersMin > 0 && answers.length >= answersMin,
    })
  const isEnough = (seen: readonly Seen[]) => !isOurs || row.halfClose === true || seen.length >= row.upstream.length
  return observed(proxy, index, run, isEnough)
}

/** Fails where tokenweir did something that the row does not allow, or that no row does. */
export function expectAllowed(row: OddRequest, { answered, seen, smuggled, ambiguous, poisoned }: Outcome): void {
  const found = { ambiguous, poisoned, fault: answered.fault, smuggled: row.halfClose ? undefined : smuggled }
  expect(found).toEqual({ ambiguous: undefined, poisoned: undefined, fault: undefined, smuggled: undefined })
  expect(row.answers.split('|')).toContain(statusesOf(answered))
  const crossed = seen.map(({ summary }) => summary)
  expect(crossed).toEqual(row.halfClose ? row.upstream.slice(0, crossed.length) : row.upstream)
}
