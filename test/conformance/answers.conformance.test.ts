/** Hostile answers through tokenweir, nginx and haproxy: what their clients get, and whether the next one gets its own. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { skipLoudly } from '../faults/settings.ts'
import { type HostileAnswer, hostileAnswers } from './answers.ts'
import { type Answered, talk } from './client.ts'
import { type Outcome, observed, patientMs, playAll, probe, probeTarget, settleMs } from './play.ts'
import { isInstalled, peerNames, type Running, startProxies } from './proxies.ts'
import { writeReport } from './report.ts'
import { type Message, statusOf } from './wire.ts'

let proxies: readonly Running[] = []
let outcomeOf: ReturnType<typeof playAll<HostileAnswer>>

/** `103 200 ok`, `200 half cut`; `103…` for several; nothing at all is an empty text. Of a 502 or 504 that the proxy made, only the status. */
function shown({ interim, answers, partial, fault }: Answered): string {
  const before = interim.length > 1 ? [`${interim[0]}…`] : interim
  const first = answers[0] ?? partial
  if (first === undefined) return [...before, fault === undefined ? '' : `fault: ${fault.slice(0, 60)}`].join(' ').trim()
  const isMade = [502, 504].includes(statusOf(first)) && first.body !== 'ok'
  const body = isMade ? '' : first.body.slice(0, 20)
  return [...before, statusOf(first), body, answers.length === 0 ? 'cut' : ''].filter((part) => part !== '').join(' ')
}

/** It reached its client whole, or as the bytes that it is, and not as an error that the proxy made of it. */
const isPassed = ({ answered: { answers, fault } }: Outcome) =>
  fault !== undefined || (answers[0] !== undefined && statusOf(answers[0]) < 500)

/** Longer than the upstream's pauses: what comes late must find the connection idle. Nobody can tell it from an answer once it is used again. */
const settleMsOf = ({ bytes, slow }: HostileAnswer) =>
  slow || typeof bytes === 'string' ? settleMs : bytes.some((part) => Number(part) > 1) ? 300 : settleMs

function play(proxy: Running, row: HostileAnswer, index: number): Promise<Outcome> {
  const target = `/answer/${index}`
  const run = () =>
    talk({
      ...{ port: proxy.port, parts: row.request?.(target) ?? [`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`] },
      settleMs: settleMsOf(row),
      ...(row.wanted.includes('101') ? {} : { next: probe(index) }),
      quietMs: proxy.name === 'tokenweir' ? 2 * patientMs : 6000,
      isDone: ({ answers }) => answers.length > 0,
    })
  return observed(proxy, index, run)
}

beforeAll(async () => {
  proxies = await startProxies(hostileAnswers)
  outcomeOf = playAll(proxies, hostileAnswers, play)
})

afterAll(async () => {
  await writeReport('answers', hostileAnswers, outcomeOf, ({ answered }) => shown(answered) || '–')
  await Promise.all(proxies.map((proxy) => proxy.stop()))
})

/** What reached the client, in any place, of an answer that nobody asked for. */
const evilIn = ({ answers, partial, rest }: Answered) => /EVIL/i.test(JSON.stringify([answers, partial?.body, rest]))
/** The second answer of a connection is that of its second request, or there is none. */
const isOwn = (second: Message | undefined, index: number) =>
  second === undefined || second.body === JSON.stringify({ saw: `GET ${probeTarget(index)}` })

describe('hostile answers', () => {
  it('are at least 140, each with a name of its own', () => {
    expect(hostileAnswers.length).toBeGreaterThanOrEqual(140)
    expect(new Set(hostileAnswers.map(({ name }) => name)).size).toBe(hostileAnswers.length)
  })

  it.each(hostileAnswers.map((row, index) => [row.name, row, index] as const))('%s', async (_name, row, index) => {
    const ours = await (outcomeOf('tokenweir', index) as Promise<Outcome>)
    const { answered, poisoned } = ours
    expect({ poisoned, evil: evilIn(answered), own: isOwn(answered.answers[1], index), fault: answered.fault }).toEqual({
      ...{ poisoned: undefined, evil: false, own: true, fault: undefined },
    })
    expect(answered.answers.length).toBeLessThanOrEqual(2)
    expect(row.wanted.split('|')).toContain(shown(answered))
    const others = await Promise.all(peerNames.map((name) => outcomeOf(name, index)))
    if (others.every((other) => other !== undefined))
      expect(isPassed(ours) && !others.some(isPassed), `laxer than ${peerNames.join(' and ')}, which pass it on to no client`).toBe(false)
  })

  it.for(peerNames)('are compared with %s', (name, { skip }) => {
    if (!isInstalled(name)) skipLoudly(skip, `${name} is not installed.`)
    expect(proxies.map((proxy) => proxy.name)).toContain(name)
  })
})
