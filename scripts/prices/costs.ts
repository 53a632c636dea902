/** Holds the costs that the table gives against those that providers reported, over folders of recorded exchanges. */

import { type ReplayOptions, replay } from '../../src/cli/replay/replay.ts'
import { createPricer } from '../../src/conclude/pricing/pricer.ts'
import { corpusRecordings } from '../../test/recordings/corpus.ts'
import type { Recording } from '../../test/recordings/recording.ts'

/** Of recordings that do not say when they were made. */
const otherwiseAt = Date.parse('2026-11-01')

/** Milliseconds since the epoch, by what the answer says of its making. */
function madeAt({ body }: Recording): number {
  const seconds = Number(/"created(?:_at)?":\s*(\d{9,10})\b/.exec(body.toString('latin1'))?.[1] ?? 0)
  return seconds > 0 ? seconds * 1000 : otherwiseAt
}

/** Lines for people: each cost that is not within 1 %, then the shares. */
export async function costsOf(folders: readonly string[]): Promise<string> {
  const pricer = createPricer({ prices: [] })
  await pricer.load()
  const found = { 'within 1 %': 0, unpriced: 0, WRONG: 0 }
  const lines: string[] = []
  for (const recording of folders.flatMap(corpusRecordings)) {
    const config = { limits: { bodyBytes: 1e8, messageBytes: 1e8 }, providers: [], routes: [], estimates: { enabled: false } }
    const options = { config, pricer, outcome: { kind: 'answered' }, at: madeAt(recording) } as unknown as ReplayOptions
    const { exchange } = await replay(
      { ...recording, host: recording.requestHeaders['host'] ?? 'x', responseBody: recording.body },
      options,
    )
    const reported = exchange.response?.reportedCostUsd
    if (reported === undefined) continue
    const cost = pricer.costOf({ ...exchange, response: { ...exchange.response, reportedCostUsd: undefined } })
    const usd = cost?.status === 'unpriced' ? undefined : cost?.usd
    const kind = usd === undefined ? 'unpriced' : Math.abs(usd - reported) <= reported * 0.01 + 1e-12 ? 'within 1 %' : 'WRONG'
    found[kind]++
    if (kind !== 'within 1 %')
      lines.push(`${kind}: ${recording.name}, ${exchange.provider} ${exchange.response?.model}: reported ${reported}, computed ${usd}`)
  }
  const all = Object.values(found).reduce((sum, one) => sum + one, 0)
  const shares = Object.entries(found).map(([kind, one]) => `${one} ${kind} (${((100 * one) / all).toFixed(1)} %)`)
  return `${[...lines, `${all} costs that providers reported: ${shares.join(', ')}`].join('\n')}\n`
}
