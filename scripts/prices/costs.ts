/** Holds the costs that the table gives against those that providers reported, over recorded exchanges. */

import { type ReplayOptions, replay } from '../../src/cli/replay/replay.ts'
import { createPricer, type Pricer } from '../../src/conclude/pricing/pricer.ts'
import type { Recording } from '../../test/recordings/recording.ts'

/** Of recordings that do not say when they were made. */
const otherwiseAt = Date.parse('2026-11-01')

/** Whose cost somebody wrote into the recording, and how that is seen. They are no measure of prices. */
const madeByHand: Readonly<Record<string, string>> = {
  xai__responses__json__b3411500ba: 'the ticks are 123456',
  openai__chat__stream__029d7868ca: 'the id says NullVariant, and the cost is that of another model for other tokens',
  openai__chat__stream__85da9aab12: 'the id says NullVariant, and the cost is that of another model for the same tokens',
}

export interface HeldCost {
  readonly name: string
  readonly provider: string
  readonly model: string | undefined
  readonly reportedUsd: number
  readonly computedUsd: number | undefined
  readonly kind: 'within 1 %' | 'unpriced' | 'WRONG'
}

export interface HeldCosts {
  readonly all: readonly HeldCost[]
  /** Of `all`, from 0 to 1. */
  readonly shares: Readonly<Record<HeldCost['kind'], number>>
  /** Lines for people: each cost that is not within 1 %, then the shares. */
  readonly text: string
}

/** Milliseconds since the epoch, by what the answer says of its making. */
function madeAt({ body }: Recording): number {
  const seconds = Number(/"created(?:_at)?":\s*(\d{9,10})\b/.exec(body.toString('latin1'))?.[1] ?? 0)
  return seconds > 0 ? seconds * 1000 : otherwiseAt
}

/** A reported 0 says that a plan or a free variant pays, which no list tells: it is not held. */
export async function heldCosts(recordings: readonly Recording[]): Promise<HeldCosts> {
  const pricer = createPricer({ prices: [] })
  await pricer.load()
  const costs: HeldCost[] = []
  for (const recording of recordings) costs.push(...(await heldCost(recording, pricer)))
  const all = costs.filter(({ name }) => madeByHand[name] === undefined)
  const count = (kind: HeldCost['kind']) => all.filter((one) => one.kind === kind).length
  const shares = Object.fromEntries(kinds.map((kind) => [kind, count(kind) / all.length])) as HeldCosts['shares']
  const lines = costs.flatMap(({ kind, name, provider, model, reportedUsd, computedUsd }) => {
    const why = madeByHand[name]
    if (kind === 'within 1 %' && why === undefined) return []
    const word = why === undefined ? kind : `made by hand (${why}), ${kind}`
    return [`${word}: ${name}, ${provider} ${model}: reported ${reportedUsd}, computed ${computedUsd}`]
  })
  const summary = kinds.map((kind) => `${count(kind)} ${kind} (${(100 * shares[kind]).toFixed(1)} %)`).join(', ')
  return { all, shares, text: `${[...lines, `${all.length} costs that providers reported: ${summary}`].join('\n')}\n` }
}

const kinds = ['within 1 %', 'unpriced', 'WRONG'] as const

async function heldCost(recording: Recording, pricer: Pricer): Promise<readonly HeldCost[]> {
  const config = { limits: { bodyBytes: 1e8, messageBytes: 1e8 }, providers: [], routes: [], estimates: { enabled: false } }
  const options = { config, pricer, outcome: { kind: 'answered' }, at: madeAt(recording) } as unknown as ReplayOptions
  const { exchange } = await replay({ ...recording, host: recording.host ?? 'gateway.internal', responseBody: recording.body }, options)
  const { provider, response } = exchange
  const reportedUsd = response?.reportedCostUsd ?? 0
  if (reportedUsd === 0) return []
  const cost = pricer.costOf({ ...exchange, response: { ...response, reportedCostUsd: undefined } })
  const computedUsd = cost?.status === 'unpriced' ? undefined : cost?.usd
  const isNear = computedUsd !== undefined && Math.abs(computedUsd - reportedUsd) <= reportedUsd * 0.01
  const kind = computedUsd === undefined ? 'unpriced' : isNear ? 'within 1 %' : 'WRONG'
  return [{ name: recording.name, provider: provider ?? 'unknown', model: response?.model, reportedUsd, computedUsd, kind }]
}
