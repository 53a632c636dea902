/** `tokenweir init [FOLDER]`: writes the stack of this version (compose file, collector, dashboards, alerts) for one's own use. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { packageFile, packageFiles, packageVersion } from '../../lib/program.ts'
import { type CommandContext, complain, type Environment, exit, explain, type Io, painter } from './context.ts'

/** Beside the compose file and what it mounts: for those who have a Prometheus and a Grafana of their own. */
const alsoWritten = ['grafana/alerting']

interface InitOptions {
  readonly folder: string
  readonly upstream: string
  readonly version: string
}

export function initCommand({ program, env, io, flags, end, refuseUse }: CommandContext): void {
  program
    .command('init')
    .argument('[folder]', 'where to write them', 'tokenweir-stack')
    .description('write the compose file, collector configuration, dashboards and alerts of this version into a folder')
    .option('--force', 'write over files that differ; your .env is kept')
    .addHelpText(
      'after',
      `
The folder then has all that docker compose needs to run tokenweir with a
collector, Prometheus, Alertmanager, Tempo, Loki and Grafana. Its .env names the
upstream and Grafana's password, which is chosen at random.

Examples:
  tokenweir init
  tokenweir init observability --upstream http://host.docker.internal:8000`,
    )
    .action(async (folder: string, options: { readonly force?: true }, { args }: { args: readonly string[] }) => {
      if (args.length > 1) return refuseUse(`${JSON.stringify(args[1])} is one argument too many.`)
      const upstream = flags()['upstream'] ?? env['TOKENWEIR_UPSTREAM'] ?? 'http://host.docker.internal:8000'
      if (!URL.canParse(upstream) || !/^https?:$/.test(new URL(upstream).protocol))
        return refuseUse(`--upstream ${JSON.stringify(upstream)} is no URL of http or https.`)
      end(await init({ folder: resolve(folder), upstream, version: packageVersion() }, options.force === true, env, io))
    })
}

async function init(options: InitOptions, force: boolean, env: Environment, io: Io): Promise<number> {
  const files = await filesOf(options)
  const differing = [...files].filter(([path, text]) => {
    const to = join(options.folder, path)
    return existsSync(to) && !readFileSync(to).equals(text)
  })
  if (differing.length > 0 && !force) {
    const names = differing.map(([path]) => path).join(', ')
    complain(io, env, `${options.folder} has other versions of ${names}. Use --force to write over them, or name another folder.`)
    return exit.failed
  }
  const ownEnv = join(options.folder, '.env')
  const hadEnv = existsSync(ownEnv)
  try {
    for (const [path, text] of files) {
      mkdirSync(dirname(join(options.folder, path)), { recursive: true })
      writeFileSync(join(options.folder, path), text)
    }
    if (!hadEnv) writeFileSync(ownEnv, environmentFile(options.upstream), { mode: 0o600 })
  } catch (error) {
    complain(io, env, `${options.folder} cannot be written to (${explain(error)}). Name another folder.`)
    return exit.failed
  }
  const { bold } = painter(io.stdout, env)
  io.stdout.write(`${files.size} files of tokenweir ${options.version} are in ${options.folder}; .env ${hadEnv ? 'is as it was' : 'is new'}.

Next:
  ${bold(`cd ${quoted(options.folder)} && docker compose up --build`)}
  Send requests to http://127.0.0.1:4141. They go on to TOKENWEIR_UPSTREAM of .env.
  Grafana is at http://127.0.0.1:3000; user admin, password GRAFANA_ADMIN_PASSWORD of .env.

With a Prometheus and a Grafana of your own: import grafana/dashboards/*.json, load
grafana/alerting/prometheus-rules.yaml, and scrape port 4142.
`)
  return exit.done
}

interface Compose {
  readonly services: Readonly<Record<string, { readonly volumes?: readonly string[] }>>
}

/** Path in the folder → content. */
async function filesOf({ version }: InitOptions): Promise<Map<string, Buffer>> {
  const { isMap, isScalar, parseDocument } = await import('yaml')
  const compose = parseDocument(packageFile('docker-compose.yml').toString())
  const services = compose.get('services')
  if (!isMap(compose.contents) || !isMap(services))
    throw new Error(`docker-compose.yml of the package is damaged. Install tokenweir again.`)
  const [first] = compose.contents.items
  if (isScalar(first?.key))
    first.key.commentBefore = ` tokenweir ${version} and what shows its records, written by tokenweir init. Settings are in .env. Start it: docker compose up --build`
  for (const { key } of [...services.items]) {
    if (compose.hasIn(['services', String(key), 'profiles'])) services.delete(key) // the demo, which runs from the sources
  }
  compose.setIn(
    ['services', 'tokenweir', 'build'],
    compose.createNode({ context: '.', args: { TOKENWEIR_VERSION: version } }, { flow: true }),
  )
  compose.setIn(['services', 'tokenweir', 'image'], `tokenweir:${version}`)
  compose.deleteIn(['services', 'tokenweir', 'depends_on', 'sample-gateway'])
  const files = new Map([
    ['docker-compose.yml', Buffer.from(compose.toString({ lineWidth: 0, flowCollectionPadding: false }))],
    ['Dockerfile', packageFile('deploy/npm.Dockerfile')],
  ])
  const mounted = Object.values((compose.toJS() as Compose).services).flatMap(({ volumes = [] }) => volumes)
  for (const path of [...mounted.flatMap((volume) => /^(?:\$\{\w+:-)?\.\/([^:}]+)/.exec(volume)?.[1] ?? []), ...alsoWritten])
    for (const file of packageFiles(path)) if (!file.endsWith('.test.yaml')) files.set(file, packageFile(file))
  return files
}

function environmentFile(upstream: string): string {
  return `# Where requests go. host.docker.internal is the machine that runs Docker.
TOKENWEIR_UPSTREAM=${upstream}
# Of Grafana's user admin. It is set when Grafana starts for the first time; later, change it in Grafana.
GRAFANA_ADMIN_PASSWORD=${randomBytes(12).toString('base64url')}
# The live page asks for it; without a token, nobody outside the container sees the page.
TOKENWEIR_ADMIN_TOKEN=${randomBytes(24).toString('base64url')}
`
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
