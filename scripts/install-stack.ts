/**
 * Builds the programs that `npm run test:stack` runs: the OpenTelemetry Collector by its own builder from `deploy/collector/builder.yaml`, Prometheus with
 * promtool, and Alertmanager with amtool, all from Go modules. Needs Go; some minutes the first time, nothing when they are there. It can be stopped and
 * started again: what is built stays, and Go keeps what it has compiled.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Bundle,
  bundleFolder,
  bundleMark,
  collectorManifest,
  collectorModules,
  isInstalled,
  stackVersions,
  toolsFolder,
} from './stack-tools.ts'

/** A fixed toolchain, static programs, and no more work at once than two processors do. */
const environment = { ...process.env, GOTOOLCHAIN: 'local', CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false' }
const small = ['-p', '2', '-trimpath', '-ldflags', '-s -w']

const run = (command: string, args: readonly string[], cwd: string, more: Record<string, string> = {}) =>
  execFileSync('nice', ['-n', '10', command, ...args], { stdio: ['ignore', 'inherit', 'inherit'], cwd, env: { ...environment, ...more } })

/** Where a module's source was unpacked. */
const moduleFolder = (module: string): string => {
  const answer = execFileSync('go', ['mod', 'download', '-json', module], { cwd: toolsFolder, env: environment, encoding: 'utf8' })
  return (JSON.parse(answer) as { Dir: string }).Dir
}

/** How each bundle is built. `into` is an empty folder that is there. */
const build: Record<Bundle, (into: string) => void> = {
  // The builder writes the source. What it would do next, `go mod tidy`, fetches the modules of every dependency's tests as well; a build needs a third.
  otelcol: (into) => {
    const source = join(into, 'source')
    run('go', ['install', ...small, `go.opentelemetry.io/collector/cmd/builder@v${stackVersions.otelcol}`], into, { GOBIN: into })
    run(join(into, 'builder'), ['--config', collectorManifest, '--skip-compilation', '--skip-get-modules'], into)
    run('go', ['mod', 'init', 'tokenweir/otelcol'], source)
    run('go', ['mod', 'edit', ...collectorModules.map((module) => `-require=${module}`)], source)
    run('go', ['build', '-mod=mod', ...small, '-o', join(into, 'otelcol'), '.'], source)
    rmSync(source, { recursive: true })
  },
  // Without the plugins that discover machines at cloud providers: they are most of its size. And without the pages of its own, which are built with npm.
  prometheus: (into) => {
    const [major, minor = '', patch] = stackVersions.prometheus.split('.')
    const version = `v0.${major}${minor.padStart(2, '0')}.${patch}`
    const programs = ['prometheus', 'promtool'].map((name) => `github.com/prometheus/prometheus/cmd/${name}@${version}`)
    run('go', ['install', ...small, '-tags', 'remove_all_sd,netgo', ...programs], into, { GOBIN: into })
  },
  // Its pages have to be there to compile; an empty one is put in their place, in a copy of the source.
  alertmanager: (into) => {
    const source = join(into, 'source')
    cpSync(moduleFolder(`github.com/prometheus/alertmanager@v${stackVersions.alertmanager}`), source, { recursive: true })
    run('chmod', ['-R', 'u+w', source], into)
    mkdirSync(join(source, 'ui/app/dist'), { recursive: true })
    writeFileSync(join(source, 'ui/app/dist/index.html'), '<!doctype html><title>Alertmanager without its pages</title>')
    run('go', ['build', ...small, '-o', into, './cmd/alertmanager', './cmd/amtool'], source)
    rmSync(source, { recursive: true })
  },
}

const startedMs = Date.now()
mkdirSync(toolsFolder, { recursive: true })
try {
  execFileSync('go', ['version'], { stdio: 'ignore' })
} catch {
  process.stderr.write('Go is missing: install Go 1.26 or later (https://go.dev/doc/install), then run `npm run stack:install` again.\n')
  process.exit(1)
}
for (const bundle of Object.keys(build) as Bundle[]) {
  if (isInstalled(bundle)) continue
  const folder = bundleFolder[bundle]
  const bundleStartedMs = Date.now()
  process.stdout.write(`Building ${bundle} ${stackVersions[bundle]} into ${folder} …\n`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  try {
    build[bundle](folder)
  } catch (error) {
    process.stderr.write(
      `${bundle} could not be built (${(error as Error).message}); what went wrong stands above. Run it again to go on.\n`,
    )
    process.exit(1)
  }
  writeFileSync(bundleMark(bundle), '')
  process.stdout.write(`${bundle}: ${Math.round((Date.now() - bundleStartedMs) / 1000)} s\n`)
}
process.stdout.write(`The stack's programs are in ${toolsFolder} (${Math.round((Date.now() - startedMs) / 1000)} s).\n`)
