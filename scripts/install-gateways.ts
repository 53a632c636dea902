/**
 * Installs the real gateways that `npm run test:gateways` runs: Portkey from npm, LiteLLM, Envoy, llama.cpp, the packages of the FastAPI example and the
 * clients for Python from PyPI; and the real clients: coding agents and libraries from npm and PyPI.
 * Takes some minutes the first time. `--only fastapi` installs that one alone.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  fastapi,
  isInstalled,
  litellm,
  type PythonPlace,
  portkeyFolder,
  programsFolder,
  programsList,
  programsPython,
  pythonClients,
  servers,
} from '../test/gateways/places.ts'
import { pipInstall } from './pip-install.ts'

const run = (command: string, args: readonly string[], cwd?: string) => execFileSync(command, args, { stdio: 'inherit', cwd })

function installPython({ folder, requirements, mark }: PythonPlace): void {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(dirname(folder), { recursive: true })
  run('python3', ['-m', 'venv', folder])
  pipInstall(folder, requirements, run)
  writeFileSync(mark, '')
}

function installPrograms(): void {
  rmSync(programsFolder, { recursive: true, force: true })
  mkdirSync(programsFolder, { recursive: true })
  for (const name of ['package.json', 'package-lock.json']) cpSync(join(programsList, name), join(programsFolder, name))
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], programsFolder)
}

const gateways = {
  portkey: { title: 'Portkey', folder: portkeyFolder, install: () => run('npm', ['ci', '--ignore-scripts'], portkeyFolder) },
  litellm: { title: 'LiteLLM', folder: litellm.folder, install: () => installPython(litellm) },
  fastapi: { title: 'the FastAPI gateway', folder: fastapi.folder, install: () => installPython(fastapi) },
  clients: { title: 'the Python clients', folder: pythonClients.folder, install: () => installPython(pythonClients) },
  servers: { title: 'Envoy and llama.cpp', folder: servers.folder, install: () => installPython(servers) },
  programs: { title: 'the programs of npm', folder: programsFolder, install: installPrograms },
  'programs-python': { title: 'the libraries of PyPI', folder: programsPython.folder, install: () => installPython(programsPython) },
} as const

const { only } = parseArgs({ options: { only: { type: 'string' } } }).values
const names = Object.keys(gateways) as (keyof typeof gateways)[]
const wanted = only === undefined ? names : names.filter((name) => name === only)
if (wanted.length === 0) {
  process.stderr.write(`install-gateways: ${JSON.stringify(only)} is none of ${names.join(', ')}.\n`)
  process.exitCode = 2
}
for (const name of wanted) {
  const { title, folder, install } = gateways[name]
  if (!isInstalled[name]()) {
    process.stdout.write(`Installing ${title} into ${folder} …\n`)
    try {
      install()
    } catch (error) {
      process.stderr.write(`${title} could not be installed: ${(error as Error).message}\nnpm, and Python 3 with venv, must be there.\n`)
      process.exit(1)
    }
  }
  process.stdout.write(`${title}: installed in ${folder}\n`)
}
