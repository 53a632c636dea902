#!/usr/bin/env node
/** The process: arguments in, exit code out. */
import { readFileSync } from 'node:fs'
import { runCli } from './cli/cli.ts'

const { stdout, stderr } = process
// A reader that has gone (`tokenweir --help | head -1`, a log collector that died) must not end the sidecar.
stdout.on('error', () => undefined)
stderr.on('error', () => undefined)

const done = runCli(process.argv.slice(2), process.env, {
  stdout,
  stderr,
  readFile: (path) => readFileSync(path, 'utf8'),
  start: async (...all) => (await import('./sidecar.ts')).start(...all),
  onStopSignal: (listener) => {
    process.on('SIGTERM', listener)
    process.on('SIGINT', listener)
  },
  onHangup: (listener) => void process.on('SIGHUP', listener),
  onUncaught: (listener) => {
    process.on('uncaughtException', listener) // rejections that nobody handles come here too
  },
})
void done.then((code) => {
  process.exitCode = code
  // Nothing that is still open may keep a finished command alive; what was written goes out first.
  stdout.write('', () => process.exit(code))
})
