/**
 * The real programs that `npm run test:stack` runs (OpenTelemetry Collector, Prometheus, Alertmanager) and where they are. They are large, so they are no
 * dependencies of the project: `npm run stack:install` builds them from their Go modules. A folder is named by what it holds, so another version or
 * another manifest gets another folder, and `TOKENWEIR_TOOLS` can be kept from one checkout to the next.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')

export const toolsFolder =
  process.env['TOKENWEIR_TOOLS'] || join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'tokenweir-tools')

/** The components of the collector: its builder's manifest. */
export const collectorManifest = join(root, 'deploy/collector/builder.yaml')

const manifestText = readFileSync(collectorManifest, 'utf8')

const manifestVersion = (): string => {
  const version = /^ {2}version: (\S+)$/mu.exec(manifestText)?.[1]
  if (version === undefined) throw new Error(`${collectorManifest} names no dist.version; write it as "  version: 0.158.0"`)
  return version
}

/** The modules it names, as Go writes them: `path@version`. */
export const collectorModules = [...manifestText.matchAll(/gomod: (\S+) (\S+)$/gmu)].map((match) => `${match[1]}@${match[2]}`)

/** Versions as the programs' images are tagged. A Go module of Prometheus 3.16.0 is v0.316.0. */
export const stackVersions = { otelcol: manifestVersion(), prometheus: '3.16.0', alertmanager: '0.34.2' } as const

export type Bundle = keyof typeof stackVersions

const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 12)

/** Counted up when `install-stack.ts` builds in another way. */
const recipe = 1

/** One folder of programs for each thing that is built. */
export const bundleFolder: Record<Bundle, string> = {
  otelcol: join(toolsFolder, `otelcol-${digest(`${recipe} ${manifestText}`)}`),
  prometheus: join(toolsFolder, `prometheus-${digest(`${recipe} ${stackVersions.prometheus}`)}`),
  alertmanager: join(toolsFolder, `alertmanager-${digest(`${recipe} ${stackVersions.alertmanager}`)}`),
}

/** Written when everything is built: half a folder is none. */
export const bundleMark = (bundle: Bundle) => join(bundleFolder[bundle], 'complete')

export const isInstalled = (bundle: Bundle) => existsSync(bundleMark(bundle))

/** Which folder holds which program. */
export const toolBundle = {
  otelcol: 'otelcol',
  prometheus: 'prometheus',
  promtool: 'prometheus',
  alertmanager: 'alertmanager',
  amtool: 'alertmanager',
} as const satisfies Record<string, Bundle>

export type Tool = keyof typeof toolBundle

/** The program's path, or undefined when `npm run stack:install` has not built it here. */
export const toolPath = (tool: Tool): string | undefined =>
  isInstalled(toolBundle[tool]) ? join(bundleFolder[toolBundle[tool]], tool) : undefined

/** The tools that are not here, of those named (default: all). */
export const missingTools = (tools: readonly Tool[] = Object.keys(toolBundle) as Tool[]): Tool[] =>
  tools.filter((tool) => toolPath(tool) === undefined)
