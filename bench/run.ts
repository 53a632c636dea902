/** `npm run bench`: starts everything, measures in turns, verifies the records, writes the report. `--help` says how. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { startLoad, startUpstream } from './aides.ts'
import { checkBodies, type MemorySample, measure, measureMemory, type Sample, type Stage, type Timed, warmUp } from './measure.ts'
import { help, type Options, readOptions } from './options.ts'
import { pinSelf, proxyCores, stopAll } from './processes.ts'
import { type Machine, markdownOf, publish, type Report } from './report.ts'
import { selfCheck } from './self-check.ts'
import { ratiosOf } from './summary.ts'
import { kindOf, type Target } from './targets.ts'
import { stopAndVerify, type Verdict } from './verify.ts'

const began = performance.now()

function say(line: string): void {
  process.stderr.write(`${((performance.now() - began) / 1_000).toFixed(1).padStart(6)} s  ${line}\n`)
}

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

async function startTargets(stage: Stage, names: readonly string[]): Promise<Target[]> {
  const targets: Target[] = []
  for (const name of names) {
    const target = await kindOf(name)?.start(name, stage.around)
    if (target === undefined) continue
    await checkBodies(stage, target)
    await warmUp(stage, target)
    say(`${name}: bodies equal, warm${target.readyMs === undefined ? '' : `, ready after ${Math.round(target.readyMs)} ms`}`)
    targets.push(target)
  }
  return targets
}

function describe(sample: Sample): string {
  const { cpu, result } = sample
  const unit = sample.scenario === 'json' ? 'request' : 'event'
  const parts = [
    cpu === undefined ? '' : `${cpu.totalUs.toFixed(1)} µs/${unit} (first thread ${cpu.mainUs.toFixed(1)})`,
    `${Math.round(sample.unitsPerSecond)} ${unit}s/s`,
    result.firstByte === undefined ? '' : `first byte ${Math.round(result.firstByte.p50)}/${Math.round(result.firstByte.p99)} µs`,
    result.delay === undefined ? '' : `delay ${Math.round(result.delay.p50)}/${Math.round(result.delay.p99)} µs`,
    `load ${Math.round(sample.loadShare * 100)} % upstream ${Math.round(sample.upstreamShare * 100)} %`,
  ]
  return parts.filter((part) => part !== '').join(', ')
}

async function measureRounds(stage: Stage, targets: readonly Target[], options: Options): Promise<Sample[]> {
  const samples: Sample[] = []
  const timed = options.scenarios.filter((scenario): scenario is Timed => scenario !== 'memory')
  for (let round = 0; round < options.rounds; round += 1) {
    for (const scenario of timed) {
      for (let turn = 0; turn < targets.length; turn += 1) {
        const target = targets[(turn + round) % targets.length]
        if (target === undefined) continue
        const sample = await measure(stage, target, scenario, round)
        samples.push(sample)
        say(`round ${round + 1}/${options.rounds} ${scenario} ${target.name}: ${describe(sample)}`)
      }
    }
  }
  return samples
}

async function measureMemories(stage: Stage, names: readonly string[], verdicts: Verdict[]): Promise<MemorySample[]> {
  const samples: MemorySample[] = []
  for (const streams of stage.size.memoryStreams) {
    for (const name of names) {
      const sample = await measureMemory(stage, name, streams, async (target) => {
        const verdict = await stopAndVerify(target, `memory, ${streams} streams`, stage.load.sent(target.port))
        if (verdict !== undefined) verdicts.push(verdict)
      })
      samples.push(sample)
      const delayMs = ((sample.result.delay?.p99 ?? 0) / 1_000).toFixed(1)
      say(`memory ${name}, ${streams} streams: ${sample.kibPerStream?.toFixed(1) ?? '–'} KiB per stream, delay p99 ${delayMs} ms`)
    }
  }
  return samples
}

async function measureAll(options: Options, directory: string): Promise<Report> {
  const [upstream, load] = await Promise.all([startUpstream(directory), startLoad(directory)])
  const { nodeArguments } = options
  const stage: Stage = { upstream, load, size: options.size, around: { upstreamPort: upstream.port, directory, nodeArguments } }
  const skipped: Record<string, string> = {}
  for (const name of options.targets) {
    const reason = kindOf(name)?.missing()
    if (reason === undefined) continue
    skipped[name] = reason
    say(`SKIPPED: ${name}: ${reason}`)
  }
  const names = options.targets.filter((name) => !(name in skipped))
  const verdicts: Verdict[] = []
  const targets = options.scenarios.some((scenario) => scenario !== 'memory') ? await startTargets(stage, names) : []
  const timed = await measureRounds(stage, targets, options)
  for (const target of targets) {
    const verdict = await stopAndVerify(target, 'timed scenarios', load.sent(target.port))
    if (verdict !== undefined) verdicts.push(verdict)
  }
  const memory = options.scenarios.includes('memory') ? await measureMemories(stage, names, verdicts) : []
  const readyMs = targets.flatMap((target) => (target.records && target.readyMs ? [target.readyMs] : []))
  return { machine: machineOf(names), rounds: options.rounds, skipped, targets: names, readyMs, verdicts, samples: { timed, memory } }
}

function write(report: Report, options: Options): void {
  const markdown = markdownOf(report)
  process.stdout.write(`${markdown}\n`)
  const json = `${JSON.stringify({ ...report, ratios: ratiosOf(report.samples, report.readyMs) }, null, 1)}\n`
  if (options.json !== undefined) writeFileSync(options.json, json)
  if (!options.whole) return
  const results = join(import.meta.dirname, 'results')
  mkdirSync(results, { recursive: true })
  writeFileSync(join(results, `${report.machine.date.replace(' ', '-').replace(':', '')}.json`), json)
  publish(join(import.meta.dirname, 'README.md'), markdown)
}

async function bench(options: Options, directory: string): Promise<boolean> {
  if (options.selfCheck) {
    await selfCheck(directory)
    say('self-check: bodies equal, counts right')
    return true
  }
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
  const interrupt = () => {
    interrupted = true
    say('interrupted: stopping what was started')
    void stopAll()
  }
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
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
    else rmSync(directory, { recursive: true })
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
