/** `--baseline COMMIT`: that commit of tokenweir, checked out beside this one with dependencies of its own, as one more target. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { toolsFolder } from '../test/gateways/places.ts'
import { loadCores, start } from './processes.ts'

const installSecondsMax = 600

function git(...args: string[]): { readonly ok: boolean; readonly said: string } {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' })
  return { ok: status === 0, said: `${stdout ?? ''}${stderr ?? ''}`.trim() }
}

/** Throws with the sentence that mends it when there is no such commit here. */
export function commitOf(revision: string): string {
  const { ok, said } = git('rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`)
  if (ok) return said
  throw new Error(`--baseline: this repository has no commit ${revision}. Fetch it (git fetch; git fetch --unshallow), or name another.`)
}

/** A worktree, which is removed when the runner ends, however it ends. */
function checkOut(commit: string, folder: string): void {
  process.once('exit', () => {
    git('worktree', 'remove', '--force', folder)
    rmSync(folder, { recursive: true, force: true })
  })
  const { ok, said } = git('worktree', 'add', '--detach', '--force', folder, commit)
  if (!ok) throw new Error(`--baseline: git could not check out ${commit}: ${said}`)
}

/** Installs what the checkout's lock file says into `folder`, which appears only when it is whole. */
async function install(checkout: string, folder: string, directory: string): Promise<void> {
  const stderr = join(directory, 'npm-ci.stderr')
  const command = ['npm', 'ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund']
  const npm = start({ name: 'npm ci', command, cores: loadCores, stderr, cwd: checkout })
  const timer = setTimeout(() => npm.child.kill('SIGKILL'), installSecondsMax * 1_000)
  const code = await npm.exited
  clearTimeout(timer)
  if (code !== 0) {
    const lines = readFileSync(stderr, 'utf8').trim().split('\n')
    const said = lines
      .filter((line) => line.startsWith('npm error'))
      .slice(0, 5)
      .join('\n')
    throw new Error(`--baseline: npm ci of that commit failed (${code}); is the package registry within reach? It said:\n${said}`)
  }
  mkdirSync(join(folder, '..'), { recursive: true })
  rmSync(folder, { recursive: true, force: true })
  renameSync(join(checkout, 'node_modules'), folder)
}

export interface Baseline {
  /** Of the target. */
  readonly name: string
  readonly root: string
}

/** Installed once: a second run with the same commit finds its packages in the tools folder. */
export async function prepareBaseline(commit: string, directory: string, say: (line: string) => void): Promise<Baseline> {
  const name = `tokenweir@${commit.slice(0, 7)}`
  const root = join(directory, `baseline-${commit.slice(0, 12)}`)
  const packages = join(toolsFolder, `baseline-${commit.slice(0, 12)}`, 'node_modules')
  checkOut(commit, root)
  if (!existsSync(packages)) {
    say(`${name}: installing its dependencies, once, into ${packages}`)
    await install(root, packages, directory)
  }
  symlinkSync(packages, join(root, 'node_modules'))
  return { name, root }
}
