/** `npm run bench`: starts everything, measures in turns, verifies the records, writes the report. `--help` says how. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Load, startLoad, startUpstream } from './aides.ts'
import { prepareBaseline } from './baseline.ts'
import { gatewayKinds, gatewayVersions } from './gateways.ts'
import { type LabelFigures, labelsText, measureLabels } from './labels.ts'
import { ledgersText, measureLedgers } from './ledgers.ts'
import type { Stage } from './measure.ts'
import { help, type Options, readOptions } from './options.ts'
import { gatewayPass, gatewayRowNames, memoryPass, type Pass, startPass, timedPass } from './passes.ts'
import { pinSelf, proxyCores, stopAll } from './processes.ts'
import { ratiosOf } from './ratios.ts'
import { limitsOf, type Machine, publish, type Report, readersReport, resultsOf, shareWords } from './report.ts'
import { selfCheck } from './self-check.ts'
import { kinds as allKinds, durability, type Kind, secure, tokenweirIn } from './targets.ts'
import type { Verdict } from './verify.ts'

const began = performance.now()
let saidAt = began

function say(line: string): void {
  saidAt = performance.now()
  process.stderr.write(`${((performance.now() - began) / 1_000).toFixed(1).padStart(6)} s  ${line}\n`)
}

/** Nobody should wonder whether it still runs. */
const silenceMsMax = 15_000
setInterval(() => {
  if (performance.now() - saidAt > silenceMsMax) say('… still at it')
}, 1_000).unref()

function output(command: string, ...args: string[]): string {
  const { stdout, stderr } = spawnSync(command, args, { cwd: import.meta.dirname })
  return `${stdout ?? ''}${stderr ?? ''}`.trim()
}

function packageVersion(name: string): string {
  const file = join(import.meta.dirname, '..', 'node_modules', name, 'package.json')
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

function commitOf(): string {
  const git = (...args: string[]) => spawnSync('git', ['--no-optional-locks', ...args], { cwd: import.meta.dirname, encoding: 'utf8' })
  const head = git('rev-parse', '--short', 'HEAD')
  if (head.status !== 0) return 'unknown'
  return head.stdout.trim() + (git('status', '--porcelain', '--', '../src').stdout === '' ? '' : ' with changes')
}

function machineOf(targets: readonly string[]): Machine {
  const versions: Record<string, () => string> = {
    nginx: () => output('nginx', '-v').replace('nginx version: nginx/', ''),
    haproxy: () => /version (\S+)/.exec(output('haproxy', '-v'))?.[1] ?? '',
    'http-proxy': () => packageVersion('http-proxy'),
    undici: () => packageVersion('undici'),
    ...gatewayVersions,
  }
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    cpu: cpus()[0]?.model ?? 'unknown CPU',
    cores: cpus().length,
    kernel: release(),
    node: process.version,
    commit: commitOf(),
    pinned: proxyCores !== undefined,
    versions: Object.fromEntries(targets.flatMap((name) => (versions[name] ? [[name, versions[name]()]] : []))),
  }
}

interface Choice {
  readonly kinds: Readonly<Record<string, Kind>>
  readonly names: readonly string[]
  readonly skipped: Readonly<Record<string, string>>
  readonly baseline: string | undefined
}

/** What is asked for and can be measured here. */
async function choose(options: Options, directory: string): Promise<Choice> {
  const baseline = options.baseline === undefined ? undefined : await prepareBaseline(options.baseline, directory, say)
  const kinds: Record<string, Kind> = { ...allKinds, ...durability, ...secure }
  if (baseline !== undefined) kinds[baseline.name] = tokenweirIn(baseline.root)
  const wanted = [...options.targets, ...(baseline === undefined ? [] : [baseline.name])]
  const skipped: Record<string, string> = {}
  const asked = {
    ...Object.fromEntries(wanted.map((name) => [name, kinds[name]])),
    ...(options.scenarios.includes('gateways') ? gatewayKinds : {}),
  }
  for (const [name, kind] of Object.entries(asked)) {
    const reason = kind?.missing()
    if (reason === undefined) continue
    skipped[name] = reason
    say(`SKIPPED: ${name}: ${reason}`)
  }
  return { kinds, names: wanted.filter((name) => !(name in skipped)), skipped, baseline: baseline?.name }
}

/** The load client learns how to speak with what is started. */
const reached = (kind: Kind, load: Load): Kind => ({
  missing: () => kind.missing(),
  async start(name, around) {
    const target = await kind.start(name, around)
    load.reach(target.port, target.way)
    return target
  },
})

async function measureAll(options: Options, directory: string): Promise<Report> {
  const { kinds, names, skipped, baseline } = await choose(options, directory)
  const [upstream, load] = await Promise.all([startUpstream(directory), startLoad(directory)])
  const { nodeArguments } = options
  const stage: Stage = {
    upstream,
    load,
    kinds: Object.fromEntries(Object.entries(kinds).map(([name, kind]) => [name, reached(kind, load)])),
    size: options.size,
    around: { upstreamPort: upstream.port, directory, cores: proxyCores, nodeArguments },
  }
  const verdicts: Verdict[] = []
  const pass: Pass = { stage, options, names, verdicts, say }
  const timed = await timedPass(pass)
  const memory = await memoryPass(pass)
  const starts = await startPass(pass)
  const gateways = await gatewayPass(pass, skipped)
  const measured = [...names, ...gatewayRowNames(gateways)]
  const samples = { timed, gateways, memory, starts }
  return { machine: machineOf(measured), rounds: options.rounds, skipped, targets: names, baseline, verdicts, samples }
}

function write(report: Report, options: Options): void {
  process.stdout.write(`${resultsOf(report)}\n\n${limitsOf(report)}\n`)
  const json = `${JSON.stringify({ ...report, ratios: ratiosOf(report.samples, report.baseline) }, null, 1)}\n`
  if (options.json !== undefined) writeFileSync(options.json, json)
  if (!options.whole) return
  const results = join(import.meta.dirname, 'results')
  mkdirSync(results, { recursive: true })
  writeFileSync(join(results, `${report.machine.date.replace(' ', '-').replace(':', '')}.json`), json)
  publish(join(import.meta.dirname, 'README.md'), 'bench', `\n${resultsOf(readersReport(report))}\n`)
  const share = shareWords(report)
  if (share === undefined) say('LiteLLM was not measured: the comparison in README.md keeps its figure')
  else for (const [name, words] of Object.entries(share)) publish(join(import.meta.dirname, '..', name), 'bench:share', words)
}

/** Labels on metrics, and labels that are not. */
async function measureLabelsTwice(options: Options, directory: string): Promise<boolean> {
  const [upstream, load] = await Promise.all([startUpstream(directory), startLoad(directory)])
  const around = { upstreamPort: upstream.port, directory, cores: proxyCores, nodeArguments: options.nodeArguments }
  const stage: Stage = { upstream, load, kinds: {}, size: options.size, around }
  const all: LabelFigures[] = []
  let isRight = true
  for (const metric of [false, true]) {
    const { figures, verdict } = await measureLabels(stage, { rounds: options.rounds, metric, say })
    all.push(figures)
    isRight &&= verdict?.ok === true
    if (verdict?.ok !== true) say(`RECORDS DIFFER FROM REQUESTS: ${JSON.stringify(verdict)}`)
  }
  process.stdout.write(`${labelsText(all)}\n`)
  return isRight
}

async function bench(options: Options, directory: string): Promise<boolean> {
  if (options.selfCheck) {
    await selfCheck(directory)
    say('self-check: bodies equal, counts right')
    return true
  }
  if (options.ledgerRows !== undefined) {
    const figures = await measureLedgers(options.ledgerRows, { directory, keep: options.ledgerKeep }, say)
    process.stdout.write(`${ledgersText(figures)}\n`)
    return true
  }
  if (options.labels) return measureLabelsTwice(options, directory)
  const report = await measureAll(options, directory)
  write(report, options)
  const wrong = report.verdicts.filter((verdict) => !verdict.ok)
  for (const verdict of wrong) say(`RECORDS DIFFER FROM REQUESTS: ${JSON.stringify(verdict)}`)
  return wrong.length === 0
}

async function main(options: Options): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'tokenweir-bench-'))
  pinSelf()
  let keep = options.keep
  let interrupted = false
  // Whatever the run waits for ends with its processes, and then the run ends. A second Ctrl-C ends it at once.
  const interrupt = (why: string) => {
    if (interrupted) process.exit(130)
    interrupted = true
    say(`${why}: stopping what was started`)
    void stopAll()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupt('interrupted'))
  // A million rows take a minute.
  const ledgerMinutes = (options.ledgerRows ?? []).reduce((sum, rows) => sum + rows / 200_000, 0)
  const minutesMax = 15 + 10 * options.rounds + ledgerMinutes
  setTimeout(() => interrupt(`not done within ${Math.round(minutesMax)} minutes`), minutesMax * 60_000).unref()
  try {
    return (await bench(options, directory)) ? 0 : 1
  } catch (error) {
    if (interrupted) return 130
    say(`FAILED: ${error instanceof Error ? error.message : String(error)}`)
    keep = true
    return 1
  } finally {
    await stopAll()
    if (keep) say(`kept ${directory}`)
    else rmSync(directory, { recursive: true, force: true })
  }
}

try {
  const options = readOptions(process.argv.slice(2))
  if (options === undefined) process.stdout.write(help)
  else process.exitCode = await main(options)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 2
}
