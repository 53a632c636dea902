/** Installs the real gateways that `npm run test:gateways` runs: Portkey from npm, LiteLLM from PyPI. Takes some minutes the first time. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isInstalled, litellmFolder, litellmMark, litellmRequirements, portkeyFolder } from '../test/gateways/places.ts'

const run = (command: string, args: readonly string[], cwd?: string) => execFileSync(command, args, { stdio: 'inherit', cwd })

if (!isInstalled.portkey()) {
  process.stdout.write('Installing Portkey …\n')
  run('npm', ['ci', '--ignore-scripts'], portkeyFolder)
}
if (!isInstalled.litellm()) {
  process.stdout.write(`Installing LiteLLM into ${litellmFolder} …\n`)
  rmSync(litellmFolder, { recursive: true, force: true })
  mkdirSync(dirname(litellmFolder), { recursive: true })
  run('python3', ['-m', 'venv', litellmFolder])
  // Every version is pinned in the file, so nothing is left to be resolved.
  run(join(litellmFolder, 'bin/pip'), ['install', '--quiet', '--no-deps', '--requirement', litellmRequirements])
  writeFileSync(litellmMark, '')
}
process.stdout.write('Both gateways are installed.\n')
