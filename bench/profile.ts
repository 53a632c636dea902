/**
 * Reads the .cpuprofile files of `node bench/run.ts --profile DIR` and prints where each thread's time went: by package, by function
 * (self time), and by the nearest function of src/ on the stack (with everything in Node and in packages that it called).
 * Usage: node bench/profile.ts DIR [rows, 25] [seconds to leave out at the start, 4: loading and warm-up]
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Node {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: readonly number[]
}

interface Profile {
  readonly nodes: readonly Node[]
  readonly samples: readonly number[]
  /** Microseconds. */
  readonly timeDeltas: readonly number[]
}

/** The part of a path that says whose code it is. */
function whose(url: string): string {
  const dependency = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)
  if (dependency?.[1] !== undefined) return dependency[1]
  if (url.startsWith('node:')) return url
  return url === '' ? '(native)' : url.replace(/^.*\/(src|bench)\//, '$1/')
}

const nameOf = ({ callFrame }: Node) => `${callFrame.functionName || '(anonymous)'}  ${whose(callFrame.url)}:${callFrame.lineNumber + 1}`

/** For each node, the nearest node at or above it whose code is in src/. */
function nearestOwn(profile: Profile): Map<number, string> {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const own = new Map<number, string>()
  const root = profile.nodes[0]
  const waiting: [Node, string][] = root === undefined ? [] : [[root, '(nothing of src/ on the stack)']]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [node, above] = next
    const name = whose(node.callFrame.url).startsWith('src/') ? nameOf(node) : above
    own.set(node.id, name)
    for (const id of node.children ?? []) {
      const child = nodes.get(id)
      if (child !== undefined) waiting.push([child, name])
    }
  }
  return own
}

function add(totals: Map<string, number>, key: string, ms: number): void {
  totals.set(key, (totals.get(key) ?? 0) + ms)
}

function print(title: string, totals: ReadonlyMap<string, number>, busyMs: number, rows: number): void {
  console.log(`\n${title}`)
  for (const [key, ms] of [...totals].sort(([, a], [, b]) => b - a).slice(0, rows)) {
    console.log(`${((ms / busyMs) * 100).toFixed(1).padStart(6)} %  ${key}`)
  }
}

function summarise(file: string, rows: number, skipMs: number): void {
  const profile = JSON.parse(readFileSync(file, 'utf8')) as Profile
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const own = nearestOwn(profile)
  const [byOwner, byFunction, byOwn] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()]
  let [atMs, idleMs, busyMs] = [0, 0, 0]
  for (const [index, id] of profile.samples.entries()) {
    const ms = (profile.timeDeltas[index + 1] ?? 0) / 1_000
    atMs += ms
    const node = nodes.get(id)
    if (node === undefined || atMs < skipMs) continue
    if (node.callFrame.functionName === '(idle)') {
      idleMs += ms
      continue
    }
    busyMs += ms
    add(byOwner, node.callFrame.url === '' ? node.callFrame.functionName : whose(node.callFrame.url), ms)
    add(byFunction, nameOf(node), ms)
    add(byOwn, own.get(id) ?? '', ms)
  }
  console.log(`\n===== ${file}: busy ${Math.round(busyMs)} ms, idle ${Math.round(idleMs)} ms`)
  print('by file or package, self time', byOwner, busyMs, rows)
  print('by function, self time', byFunction, busyMs, rows)
  print('by the nearest function of src/, with what it called outside src/', byOwn, busyMs, rows)
}

const [directory = '.', rows = '25', skipSeconds = '4'] = process.argv.slice(2)
for (const name of readdirSync(directory).filter((file) => file.endsWith('.cpuprofile'))) {
  summarise(join(directory, name), Number(rows), Number(skipSeconds) * 1_000)
}
