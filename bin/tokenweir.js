#!/usr/bin/env node
/** The installed command. A checkout runs its sources; an installed package runs what was built, since Node strips no types below node_modules. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { run } from './on-node.js'

const root = new URL('../', import.meta.url)
const source = new URL('src/tokenweir.ts', root)
const isInstalled = /[\\/]node_modules[\\/]/.test(fileURLToPath(root))
const program = !isInstalled && existsSync(source) ? source : new URL('dist/tokenweir.js', root)

if (existsSync(program)) {
  run(program)
} else {
  process.stderr.write(`tokenweir: ${fileURLToPath(program)} is missing. Install tokenweir again, or run npm run build in its sources.\n`)
  process.exitCode = 1
}
