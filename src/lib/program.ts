/** The program's own files, threads and command: on disk in a checkout and a package, inside the executable of the single-file program. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { posix } from 'node:path'
import { getAsset, getAssetKeys, isSea } from 'node:sea'
import { fileURLToPath } from 'node:url'
import { Worker, type WorkerOptions } from 'node:worker_threads'

/** The single-file program names its assets by their paths in the checkout. */
const isSingleFile = isSea()
const asset = (path: string) => Buffer.from(getAsset(path))
/** `src` of a checkout, `dist` of a package. */
const codeUrl = (path: string) => new URL(`../${path}`, import.meta.url)
const packageUrl = (path: string) => new URL(`../../${path}`, import.meta.url)
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'

/** A file beside the code, such as `admin/page/app.js`. */
export function codeFile(path: string): Buffer {
  return isSingleFile ? asset(`src/${path}`) : readFileSync(codeUrl(path))
}

/** A file of the package, such as `docs/ledger.md`. */
export function packageFile(path: string): Buffer {
  return isSingleFile ? asset(path) : readFileSync(packageUrl(path))
}

/** A file of a dependency, such as `uplot/dist/uPlot.esm.js`. */
export function dependencyFile(path: string): Buffer {
  return isSingleFile ? asset(`node_modules/${path}`) : readFileSync(createRequire(import.meta.url).resolve(path))
}

/** The path itself where it is a file, all files below where it is a folder, none where there is neither. */
export function packageFiles(path: string): readonly string[] {
  if (isSingleFile) return getAssetKeys().filter((key) => key === path || key.startsWith(`${path}/`))
  const found = statSync(packageUrl(path), { throwIfNoEntry: false })
  if (found?.isDirectory() !== true) return found === undefined ? [] : [path]
  return readdirSync(packageUrl(path)).flatMap((name) => packageFiles(posix.join(path, name)))
}

export function packageVersion(): string {
  return (JSON.parse(packageFile('package.json').toString()) as { readonly version: string }).version
}

/** The scripts that run on threads of their own, without their extensions. */
export const threads = ['config/load-thread', 'ledger/queries/worker', 'recorder/recorder'] as const

export function startThread(script: (typeof threads)[number], options: WorkerOptions): Worker {
  if (!isSingleFile) return new Worker(codeUrl(`${script}.${extension}`), options)
  return new Worker(`${getAsset('loader.js', 'utf8')}load('src/${script}.js')`, { ...options, eval: true })
}

/** What starts this program once more: an executable and its first arguments. */
export function ownCommand(): readonly [string, ...string[]] {
  return isSingleFile ? [process.execPath] : [process.execPath, fileURLToPath(codeUrl(`tokenweir.${extension}`))]
}
