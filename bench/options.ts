/** The command line of the bench, and how much work each size of run is. */
import { parseArgs } from 'node:util'
import { commitOf } from './baseline.ts'
import { durability, kinds, secure } from './targets.ts'

export const scenarioNames = ['json', 'sse-paced', 'sse-unpaced', 'latency', 'memory', 'start', 'gateways'] as const
export type ScenarioName = (typeof scenarioNames)[number]

export interface Size {
  /** Requests before anything is timed, or so many seconds of them: two threads' code is compiled on the way. */
  readonly warmRequests: number
  readonly warmSecondsMax: number
  readonly jsonSeconds: number
  readonly jsonConcurrency: number
  readonly pacedSeconds: number
  readonly pacedStreams: number
  readonly unpacedSeconds: number
  readonly unpacedConcurrency: number
  readonly unpacedEvents: number
  readonly latencySeconds: number
  readonly latencyStreams: number
  readonly probesPerSecond: number
  readonly intervalMs: number
  /** One number of open streams per pass of the memory scenario. */
  readonly memoryStreams: readonly number[]
  readonly memoryIntervalMs: number
  readonly memoryHoldSeconds: number
  /** What a gateway can bear on one core. */
  readonly gatewayWarmSeconds: number
  readonly gatewaySeconds: number
  readonly gatewayConcurrency: number
  readonly gatewayStreams: number
}

const normal: Size = {
  warmRequests: 20_000,
  warmSecondsMax: 8,
  jsonSeconds: 2.5,
  jsonConcurrency: 32,
  pacedSeconds: 4,
  pacedStreams: 200,
  unpacedSeconds: 1.5,
  unpacedConcurrency: 8,
  unpacedEvents: 20_000,
  latencySeconds: 5,
  latencyStreams: 40,
  probesPerSecond: 200,
  intervalMs: 40,
  memoryStreams: [1_000],
  memoryIntervalMs: 1_000,
  memoryHoldSeconds: 2,
  gatewayWarmSeconds: 8,
  gatewaySeconds: 5,
  gatewayConcurrency: 4,
  gatewayStreams: 20,
}

const quick: Size = {
  ...normal,
  warmSecondsMax: 0.5,
  jsonSeconds: 0.8,
  pacedSeconds: 0.8,
  unpacedSeconds: 0.4,
  unpacedConcurrency: 4,
  latencySeconds: 0.6,
  memoryStreams: [200],
  memoryIntervalMs: 500,
  memoryHoldSeconds: 0.5,
  gatewayWarmSeconds: 1,
  gatewaySeconds: 1.5,
}

export interface Options {
  readonly rounds: number
  readonly targets: readonly string[]
  /** A commit to measure beside this one, by its full name. */
  readonly baseline: string | undefined
  readonly scenarios: readonly ScenarioName[]
  readonly size: Size
  /** Nothing was left out: the result may stand in the documents. */
  readonly whole: boolean
  readonly json: string | undefined
  /** Arguments of Node for tokenweir. */
  readonly nodeArguments: readonly string[]
  readonly keep: boolean
  readonly selfCheck: boolean
  /** Instead of everything else: ledgers of so many rows. */
  readonly ledgerRows: readonly number[] | undefined
  /** A folder where those ledgers stay, to be asked again. */
  readonly ledgerKeep: string | undefined
  /** Instead of everything else: what labels cost. */
  readonly labels: boolean
}

/** With fewer there is no median that a document could show. */
const publishedRoundsMin = 3

export const help = `npm run bench -- [options]

  --rounds N        rounds of every scenario (3); the targets take turns within a round
  --only A,B        targets: ${Object.keys(kinds).join(', ')} (--targets is the same)
  --baseline COMMIT one more target: that commit of tokenweir, checked out for the run, with dependencies of its own
  --gateways        only the gateways, and tokenweir in front of LiteLLM (--scenario gateways)
  --durability      instead of them: what spool and disk cost (${Object.keys(durability).join(', ')})
  --tls             instead of them: what TLS and HTTP/2 with clients cost (${Object.keys(secure).join(', ')})
  --ledger-rows A,B instead of all else: make ledgers of so many rows (about 1 GB a million), ask them for 30 days, and remove them
  --ledger-keep DIR those ledgers stay in DIR, and one that is there is asked again
  --labels          instead of all else: what eight labels cost, in one process, in turns (--rounds: 40)
  --scenario A,B    ${scenarioNames.join(', ')}
  --quick           one short round, a minute or two: to see that it runs, not to quote
  --full            memory also with 5,000 and 9,500 open streams
  --json FILE       write the results there too
  --profile DIR     run tokenweir with --cpu-prof into DIR (read it with: node bench/profile.ts DIR)
  --node-args='A B' run tokenweir with these arguments of Node
  --keep            keep the temporary directory (logs, ledger)
  --self-check      check the mock upstream, the load client and the sink against each other, and end
  --help

A whole run (${publishedRoundsMin} rounds or more; no --quick, --durability, --tls, --gateways, --only, --scenario, --profile, --node-args) also writes
bench/results/, the tables in bench/README.md, and the share of LiteLLM's CPU in README.md and its translation.
`

function chosen<Name extends string>(value: string | undefined, known: readonly Name[], flag: string): readonly Name[] {
  if (value === undefined) return known
  const names = value.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !(known as readonly string[]).includes(name))
  if (unknown !== undefined) throw new Error(`--${flag}: there is no ${unknown}; there are ${known.join(', ')}`)
  return known.filter((name) => names.includes(name))
}

/** Undefined when only help was asked for. Throws with the sentence that mends it. */
export function readOptions(args: readonly string[]): Options | undefined {
  const flag = { type: 'boolean' } as const
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{
        rounds: text,
        only: text,
        targets: text,
        baseline: text,
        scenario: text,
        json: text,
        profile: text,
        'node-args': text,
        'ledger-rows': text,
        'ledger-keep': text,
      },
      ...{ quick: flag, full: flag, durability: flag, tls: flag, labels: flag, gateways: flag, keep: flag, 'self-check': flag, help: flag },
    },
  })
  if (values.help) return undefined
  const rounds = Number(values.rounds ?? (values.quick ? 1 : values.labels ? 40 : 3))
  if (!Number.isSafeInteger(rounds) || rounds < 1 || rounds > 100) throw new Error('--rounds: give a whole number from 1 to 100')
  const ledgerRows = values['ledger-rows']?.split(',').map(Number)
  if (ledgerRows?.some((count) => !Number.isSafeInteger(count) || count < 100_000) === true)
    throw new Error('--ledger-rows: give whole numbers of 100000 or more, with commas between them')
  const size = values.quick ? quick : normal
  const only = values.only ?? values.targets
  const scenario = values.gateways ? 'gateways' : values.scenario
  // What the disk costs has nothing to do with gateways.
  const scenarios = chosen(scenario, scenarioNames, 'scenario').filter((name) => !(values.durability || values.tls) || name !== 'gateways')
  const partial = [only, scenario, values.profile, values['node-args']].some((value) => value !== undefined)
  return {
    rounds,
    targets: chosen(only, Object.keys(values.durability ? durability : values.tls ? secure : kinds), 'only'),
    baseline: values.baseline === undefined ? undefined : commitOf(values.baseline),
    scenarios,
    size: values.full ? { ...size, memoryStreams: [...size.memoryStreams, 5_000, 9_500] } : size,
    whole: rounds >= publishedRoundsMin && !values.quick && !values.durability && !values.tls && !partial,
    json: values.json,
    nodeArguments: [
      ...(values['node-args']?.split(' ') ?? []),
      ...(values.profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', values.profile]),
    ],
    keep: values.keep ?? false,
    selfCheck: values['self-check'] ?? false,
    ledgerRows,
    ledgerKeep: values['ledger-keep'],
    labels: values.labels ?? false,
  }
}
