/**
 * The programs that the tests of `deploy/` run, and where they are: a Kafka broker, ClickHouse as a library of Python, the validators of
 * `deploy/validate`, helm and actionlint. `npm run deploy:install` puts them there. A folder is named by what it holds, as those of `npm run stack:install`.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const toolsFolder = process.env['TOKENWEIR_TOOLS'] || join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'tokenweir-tools')

export const validateSource = join(root, 'deploy/validate')
export const kafkaPom = join(root, 'test/stack/tools/kafka.pom.xml')
export const goSource = join(root, 'test/stack/tools/go')
export const clickhouseRequirements = join(root, 'test/stack/tools/clickhouse.requirements.txt')

const folderOf = (name: string, files: readonly string[]) => {
  const digest = createHash('sha256')
  for (const file of files) digest.update(readFileSync(file))
  return join(toolsFolder, `${name}-${digest.digest('hex').slice(0, 12)}`)
}

const validateFiles = readdirSync(validateSource)
  .sort()
  .map((name) => join(validateSource, name))

export const deployFolders = {
  kafka: folderOf('kafka', [kafkaPom]),
  clickhouse: folderOf('chdb', [clickhouseRequirements]),
  validate: folderOf('validate', validateFiles),
  go: folderOf('go', [join(goSource, 'go.mod'), join(goSource, 'go.sum')]),
} as const

export type DeployTool = keyof typeof deployFolders

/** Written when everything is there: half a folder is none. */
export const deployMark = (tool: DeployTool) => join(deployFolders[tool], 'complete')

export const missingDeployTools = (tools: readonly DeployTool[]) => tools.filter((tool) => !existsSync(deployMark(tool)))

/** The folder of jars, the Python that has ClickHouse, programs. */
export const deployPrograms = {
  kafka: join(deployFolders.kafka, 'jars'),
  clickhouse: join(deployFolders.clickhouse, 'bin/python'),
  validate: join(deployFolders.validate, 'validate'),
  helm: join(deployFolders.go, 'helm'),
  actionlint: join(deployFolders.go, 'actionlint'),
} as const
