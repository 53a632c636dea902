/**
 * `npm run build:single`: the program as one executable for Linux x64, dist/tokenweir-linux-x64, with its licences beside it. It is this Node with the bundled program and its files inside
 * (https://nodejs.org/docs/latest-v24.x/api/single-executable-applications.html).
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { build } from 'rolldown'
import { packageFiles, threads } from '../../src/lib/program.ts'

const root = resolve(import.meta.dirname, '../..')
const output = join(root, 'dist/tokenweir-linux-x64')
const require = createRequire(import.meta.url)

/** What `init` writes and the page shows. */
const packaged = ['package.json', 'docker-compose.yml', 'otel-collector.yaml', 'deploy', 'docs', 'grafana']
/** Of those, what a running program never reads. */
const isUnread = (path: string) => /^(docs\/images|deploy\/helm|grafana\/(src|import))\//.test(path)
const besideCode = ['src/conclude/pricing/prices.json', 'src/admin/page']
const dependencies = ['uplot/dist/uPlot.esm.js', 'uplot/dist/uPlot.min.css']

const grpcBase = '@opentelemetry/otlp-grpc-exporter-base'
const alias = {
  [join(root, 'src/cli/demo/parts.ts')]: join(import.meta.dirname, 'parts.ts'),
  [grpcBase]: require.resolve(grpcBase), // as CommonJS: its ES module requires gRPC behind the bundler's back
}

if (process.platform !== 'linux' || process.arch !== 'x64') throw new Error('This builds for Linux x64 only: run it there.')
const folder = mkdtempSync(join(tmpdir(), 'tokenweir-single-'))
try {
  const { scripts, packages } = await bundle()
  const loader = readFileSync(join(import.meta.dirname, 'loader.js'), 'utf8')
  writeFileSync(join(folder, 'main.js'), `${loader}load('src/tokenweir.js')\n`)
  writeFileSync(join(folder, 'sea.json'), JSON.stringify(settings(scripts)))
  const quiet = { stdio: 'pipe' } as const
  execFileSync(process.execPath, ['--experimental-sea-config', join(folder, 'sea.json')], quiet)
  mkdirSync(join(root, 'dist'), { recursive: true })
  copyFileSync(process.execPath, `${output}.new`)
  const fuse = ['--sentinel-fuse', 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2']
  execFileSync(
    process.execPath,
    [require.resolve('postject/dist/cli.js'), `${output}.new`, 'NODE_SEA_BLOB', join(folder, 'sea.blob'), ...fuse],
    quiet,
  )
  renameSync(`${output}.new`, output) // one that runs may be replaced, but not written to
  writeFileSync(`${output}.licenses.txt`, licencesOf(packages))
  process.stdout.write(`${output}: ${(statSync(output).size / 1e6).toFixed(1)} MB\n`)
} finally {
  rmSync(folder, { recursive: true })
}

/** CommonJS, since an executable's own script can import no ES modules. */
async function bundle(): Promise<{ readonly scripts: readonly string[]; readonly packages: readonly string[] }> {
  const entries = ['tokenweir', ...threads]
  const { output } = await build({
    input: Object.fromEntries(entries.map((name) => [name, join(root, `src/${name}.ts`)])),
    platform: 'node',
    checks: { ineffectiveDynamicImport: false },
    resolve: { alias },
    transform: { define: { 'import.meta.url': JSON.stringify('file:///tokenweir.js') } },
    output: {
      dir: join(folder, 'src'),
      format: 'cjs',
      dynamicImportInCjs: false, // scripts that the loader compiles have no import()
      minify: true,
      entryFileNames: '[name].js',
      chunkFileNames: 'chunks/[name]-[hash].js',
    },
  })
  const modules = output.flatMap((one) => (one.type === 'chunk' ? one.moduleIds : []))
  const used = [...modules, ...dependencies.map((path) => require.resolve(path))]
  const packages = new Set(used.flatMap((path) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? []))
  return { scripts: output.map(({ fileName }) => `src/${fileName}`), packages: [...packages].sort() }
}

function settings(scripts: readonly string[]) {
  const inRoot = [...packaged, ...besideCode].flatMap(packageFiles).filter((path) => !isUnread(path))
  return {
    main: join(folder, 'main.js'),
    output: join(folder, 'sea.blob'),
    disableExperimentalSEAWarning: true,
    assets: {
      ...Object.fromEntries(inRoot.map((path) => [path, join(root, path)])),
      ...Object.fromEntries(dependencies.map((path) => [`node_modules/${path}`, require.resolve(path)])),
      ...Object.fromEntries(scripts.map((path) => [path, join(folder, path)])),
      'loader.js': join(import.meta.dirname, 'loader.js'),
    },
  }
}

/** The licences of Node and of every package inside, which must go with the executable. */
function licencesOf(packages: readonly string[]): string {
  return [root, resolve(process.execPath, '../..'), ...packages]
    .flatMap((path) => {
      const files = readdirSync(path, { withFileTypes: true }).filter(
        (one) => one.isFile() && /^(licen[cs]e|copying|notice)/i.test(one.name),
      )
      const texts = files.map(({ name }) => readFileSync(join(path, name), 'utf8').trim())
      return texts.length === 0 ? [] : [`==== ${path === root ? 'tokenweir' : path.split('/node_modules/').at(-1)}`, ...texts]
    })
    .join('\n\n')
}
