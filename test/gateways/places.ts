/** Where the real gateways are installed. They are large, so they are no dependencies of the project: `npm run gateways:install` fetches them. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const here = import.meta.dirname
const root = resolve(here, '../..')

/** A folder that is kept from one checkout to the next; without it `.tools/` in this one. */
export const toolsFolder = process.env['TOKENWEIR_TOOLS'] || join(root, '.tools')

export const portkeyFolder = join(here, 'portkey')
export const portkeyProgram = join(portkeyFolder, 'node_modules/@portkey-ai/gateway/build/start-server.js')

/** A virtual environment for a list of pinned packages. */
export interface PythonPlace {
  readonly name: string
  readonly requirements: string
  readonly folder: string
  /** Written when everything is installed: half an environment is none. */
  readonly mark: string
}

/** Named by what it holds, so that another list gets another folder. */
function folderFor(name: string, list: string): string {
  const hash = createHash('sha256').update(readFileSync(list)).digest('hex').slice(0, 12)
  return join(toolsFolder, `${name}-${hash}`)
}

function pythonPlace(name: string, requirements: string): PythonPlace {
  const folder = folderFor(name, requirements)
  return { name, requirements, folder, mark: join(folder, 'complete') }
}

export const litellm = pythonPlace('litellm', join(here, 'litellm/requirements.txt'))
export const litellmProgram = join(litellm.folder, 'bin/litellm')

/** LiteLLM fetches prices and other lists from the internet unless told to use its own. */
export const litellmStaysAtHome = {
  LITELLM_TELEMETRY: 'False',
  LITELLM_LOCAL_MODEL_COST_MAP: 'True',
  LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS: 'True',
  LITELLM_LOCAL_AUTOROUTER_PRESETS: 'True',
  LITELLM_LOCAL_BLOG_POSTS: 'True',
  LITELLM_LOCAL_POLICY_TEMPLATES: 'True',
  DO_NOT_TRACK: '1',
  NO_DOCS: 'True',
  DISABLE_ADMIN_UI: 'True',
}

export const fastapiFolder = join(root, 'examples/fastapi-gateway')
export const fastapi = pythonPlace('fastapi-gateway', join(fastapiFolder, 'requirements.txt'))
export const fastapiProgram = join(fastapi.folder, 'bin/uvicorn')

export const pythonClients = pythonPlace('python-clients', join(here, 'clients/requirements.txt'))
export const clientsProgram = join(here, 'clients/labels.py')

/** Envoy, and the server of llama.cpp. */
export const servers = pythonPlace('servers', join(here, 'servers/requirements.txt'))
export const envoyProgram = join(servers.folder, 'bin/envoy')
export const llamacppProgram = join(here, 'servers/llamacpp.py')

/** Coding agents and libraries of npm, and libraries of PyPI. */
export const programsList = join(here, 'programs')
export const programsFolder = folderFor('clients', join(programsList, 'package-lock.json'))
export const programsPython = pythonPlace('clients-python', join(programsList, 'requirements.txt'))

export const isInstalled = {
  /** npm writes this file last: half an installation is none. */
  portkey: () => existsSync(join(portkeyFolder, 'node_modules/.package-lock.json')),
  litellm: () => existsSync(litellm.mark),
  fastapi: () => existsSync(fastapi.mark),
  clients: () => existsSync(pythonClients.mark),
  servers: () => existsSync(servers.mark),
  programs: () => existsSync(join(programsFolder, 'node_modules/.package-lock.json')),
  'programs-python': () => existsSync(programsPython.mark),
}
