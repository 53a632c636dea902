/** Where the real gateways are installed. Both are large, so they are no dependencies of the project: `npm run gateways:install` fetches them. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const here = import.meta.dirname

export const portkeyFolder = join(here, 'portkey')
export const portkeyProgram = join(portkeyFolder, 'node_modules/@portkey-ai/gateway/build/start-server.js')

export const litellmRequirements = join(here, 'litellm/requirements.txt')

/**
 * The virtual environment, named by what it holds, so that other requirements get another one. `TOKENWEIR_TOOLS` is a folder that is kept
 * from one checkout to the next; without it `.tools/` in this one.
 */
export const litellmFolder = join(
  process.env['TOKENWEIR_TOOLS'] ?? resolve(here, '../../.tools'),
  `litellm-${createHash('sha256').update(readFileSync(litellmRequirements)).digest('hex').slice(0, 12)}`,
)
export const litellmProgram = join(litellmFolder, 'bin/litellm')
/** Written when everything is installed: half an environment is none. */
export const litellmMark = join(litellmFolder, 'complete')

export const isInstalled = { portkey: () => existsSync(portkeyProgram), litellm: () => existsSync(litellmMark) }
