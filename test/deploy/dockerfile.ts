/** Reads a Dockerfile and carries its steps out in a folder, so that what it says is tried where no container can run. */
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'

export interface Step {
  readonly name: string
  readonly flags: Readonly<Record<string, string>>
  readonly rest: string
}

export interface Stage {
  readonly name: string
  readonly base: string
  readonly steps: readonly Step[]
}

/** Stages in order. Comments and line continuations are taken out; a heredoc is not understood. */
export function readStages(text: string): Stage[] {
  const lines = text.replace(/^\s*#.*\n/gm, '').replace(/\\\n\s*/g, ' ')
  const stages: { name: string; base: string; steps: Step[] }[] = []
  for (const line of lines.split('\n').filter((it) => it.trim() !== '')) {
    const { name, flags, rest } = readStep(line)
    if (name === 'FROM') {
      const [base = '', , stage = ''] = rest.split(/\s+/)
      stages.push({ name: stage, base, steps: [] })
    } else {
      stages.at(-1)?.steps.push({ name, flags, rest })
    }
  }
  return stages
}

function readStep(line: string): Step {
  const [, name = '', after = ''] = /^\s*([A-Z]+)\s+(.*)$/.exec(line) ?? []
  const flags: Record<string, string> = {}
  let rest = after.trim()
  for (let found = /^--([a-z-]+)=(\S+)\s+/.exec(rest); found !== null; found = /^--([a-z-]+)=(\S+)\s+/.exec(rest)) {
    flags[found[1] as string] = found[2] as string
    rest = rest.slice(found[0].length)
  }
  return { name, flags, rest }
}

/** The exec form; the shell form is no good for a process 1, so it is an error. */
export function readCommand(rest: string): string[] {
  if (!rest.startsWith('[')) throw new Error(`${rest} is in shell form: write it as a JSON array, or a shell gets the signals`)
  return JSON.parse(rest) as string[]
}

/** Name=value pairs of an ENV or LABEL step; values may be quoted. */
export function readPairs(rest: string): Record<string, string> {
  return Object.fromEntries([...rest.matchAll(/([\w.]+)=(?:"([^"]*)"|(\S+))/g)].map(([, name, quoted, bare]) => [name, quoted ?? bare]))
}

/** The top-level names that a .dockerignore lets in: it lists exceptions to `*`. */
export function readAllowed(text: string): string[] {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  if (lines[0] !== '*') throw new Error('.dockerignore does not begin with *')
  return lines.slice(1).map((line) => line.replace(/^!/, ''))
}

export interface Image {
  /** The folder that stands for `/`. */
  readonly root: string
  readonly folder: string
  readonly environment: Readonly<Record<string, string>>
  /** A path, or a text that names paths, of the image as one of this machine. */
  readonly mapped: (text: string) => string
  readonly stage: Stage
}

export interface BuildOptions {
  readonly dockerfile: string
  /** The build context. */
  readonly context: string
  readonly target: string
  /** An empty folder for the stages' file systems. */
  readonly into: string
  /** Instead of the base image: where `node` and `npm` are found. */
  readonly path: string
}

/** Builds a stage and those that it needs. A base image is an empty folder, its programs are this machine's. */
export function buildImage(options: BuildOptions, done = new Map<string, Image>()): Image {
  const { dockerfile, context, target, into, path } = options
  const stages = readStages(dockerfile)
  const stage = stages.find(({ name }) => name === target)
  if (stage === undefined) throw new Error(`no stage ${target}`)
  const root = join(into, target)
  mkdirSync(join(root, 'tmp'), { recursive: true })
  const imageOf = (name: string) => {
    const image = done.get(name) ?? buildImage({ ...options, target: name }, done)
    done.set(name, image)
    return image
  }
  let folder = root
  let environment: Record<string, string> = {}
  const parent = stages.some(({ name }) => name === stage.base) ? imageOf(stage.base) : undefined
  if (parent !== undefined) {
    cpSync(parent.root, root, { recursive: true, verbatimSymlinks: true })
    folder = parent.folder.replace(parent.root, root)
    environment = { ...parent.environment }
  }
  const mapped = (text: string) => text.replace(/(?<![\w.:/])\/(app|var\/lib|tmp)(?=[/\s]|$)/g, `${root}/$1`)
  for (const step of stage.steps) {
    if (step.name === 'WORKDIR') mkdirSync((folder = mapped(step.rest)), { recursive: true })
    if (step.name === 'ENV') environment = { ...environment, ...readPairs(step.rest) }
    if (step.name === 'COPY') copy(step, step.flags['from'] === undefined ? context : imageOf(step.flags['from']))
    if (step.name === 'RUN')
      execFileSync('sh', ['-ec', mapped(step.rest)], { cwd: folder, stdio: 'pipe', env: { ...environment, ...shell(path) } })
  }
  return { root, folder, environment, mapped, stage }

  function copy({ rest }: Step, from: string | Image): void {
    const names = rest.split(/\s+/)
    const target = resolve(folder, mapped(names.pop() as string))
    for (const name of names) {
      const source = typeof from === 'string' ? join(from, name) : from.mapped(name)
      if (typeof from === 'string' && !readAllowed(readFileSync(join(from, '.dockerignore'), 'utf8')).includes(name)) {
        throw new Error(`COPY ${name}: .dockerignore keeps it out`)
      }
      if (!existsSync(source)) throw new Error(`COPY ${name}: not there`)
      const into = names.length > 1 || target === folder ? join(target, basename(name)) : target
      mkdirSync(dirname(into), { recursive: true })
      cpSync(source, into, { recursive: true, verbatimSymlinks: true })
    }
  }
}

/**
 * npm's own cache first, so that a test needs no network where `npm ci` has just run. What the machine needs for its network stays; what an npm around
 * this test says to its children does not, or they would work in its folder.
 */
function shell(path: string): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_ENV$|NODE_OPTIONS$|INIT_CWD$|VITEST)/i.test(name))
  return { ...(Object.fromEntries(kept) as Record<string, string>), PATH: path, npm_config_prefer_offline: 'true' }
}

/** As a read-only file system looks to a process that is not root. */
export function makeReadOnly(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o555 : 0o444)
  }
  chmodSync(folder, 0o555)
}
