/** Commands that are not run here: why, where else something of them is run, and what is checked of them instead. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import packageJson from '../../../package.json' with { type: 'json' }
import { root } from './commands.ts'

interface Elsewhere {
  readonly why: string
  /** The test that runs it, or what stands behind it. */
  readonly test: string
  /** What is wrong with the command as it is printed. */
  readonly problems?: (words: readonly string[]) => readonly string[]
}

const read = (name: string) => readFileSync(join(root, name), 'utf8')
const after = (words: readonly string[], option: string) =>
  words.flatMap((word, index) => (word === option ? [words[index + 1] ?? ''] : []))
const missing = (paths: readonly string[]) => paths.filter((path) => !existsSync(join(root, path))).map((path) => `${path} is not there`)
const unless = (holds: boolean, problem: string) => (holds ? [] : [problem])

function dockerProblems(words: readonly string[]): readonly string[] {
  const [, command = ''] = words
  const known = ['build', 'compose', 'run', 'exec']
  return [
    ...unless(known.includes(command), `docker ${command} is not one of ${known.join(', ')}`),
    ...missing(after(words, '--env-file')),
    ...(command === 'compose' ? missing(['docker-compose.yml']) : []),
    ...(command === 'build' ? missing([join(words.at(-1) as string, 'Dockerfile')]) : []),
  ]
}

const ciProblems = (words: readonly string[]) => unless(read('.ci/run').includes(words.join(' ')), `${words.join(' ')} is not in .ci/run`)

/** Each value that is set has a place in the chart's values. */
function helmProblems(words: readonly string[]): readonly string[] {
  const chart = words.find((word) => word.startsWith('deploy/'))
  if (chart === undefined) return ['no chart of this project is named']
  if (!existsSync(join(root, chart, 'Chart.yaml'))) return [`${chart} is no chart`]
  const values = parse(read(join(chart, 'values.yaml')))
  return after(words, '--set').flatMap((set) => {
    const key = set.replace(/=.*/, '')
    return unless(key.split('.').reduce((at, name) => at?.[name], values) !== undefined, `${key} is no value of ${chart}`)
  })
}

const systemd = { why: 'needs systemd as the first process', test: 'test/deploy/systemd.test.ts' }
const gateway = { why: 'needs that program', test: 'test/gateways/gateways.gate.test.ts' }
const client = { why: 'needs that program', test: 'test/gateways/programs.gate.test.ts' }
const stack = { why: 'needs npm run stack:install', test: 'test/stack/printed.stack.test.ts' }

/** By the first words of a command: the longest that fits counts. */
export const elsewhere: Readonly<Record<string, Elsewhere>> = {
  docker: { why: 'needs Docker', test: 'test/stack/validate.stack.test.ts', problems: dockerProblems },
  kubectl: {
    why: 'needs a cluster',
    test: 'test/stack/validate.stack.test.ts',
    problems: (words) => missing(after(words, '-k').map((folder) => join(folder, 'kustomization.yaml'))),
  },
  helm: { why: 'needs a cluster', test: 'test/stack/helm.stack.test.ts', problems: helmProblems },
  'npm install --global': { why: 'needs the published package', test: 'test/gateways/package.gate.test.ts' },
  'npm ci': { why: 'takes minutes, and the packages of this checkout', test: '.ci/run', problems: ciProblems },
  'npm test': { why: 'is what runs this test', test: '.ci/run', problems: ciProblems },
  'npm run demo': { why: 'takes long beside other tests', test: '.ci/run', problems: ciProblems },
  'npm run check': {
    why: 'is what runs this test',
    test: '.ci/run',
    problems: () =>
      packageJson.scripts.check.split(' && ').flatMap((part) => ciProblems([part === packageJson.scripts.test ? 'npm test' : part])),
  },
  'systemd-analyze': systemd,
  systemctl: systemd,
  journalctl: systemd,
  tee: { why: 'needs root', test: 'test/stack/printed.stack.test.ts' },
  alertmanager: stack,
  amtool: stack,
  prometheus: stack,
  otelcol: stack,
  litellm: gateway,
  'npx @portkey-ai/gateway': gateway,
  uvicorn: gateway,
  vllm: { why: 'needs a GPU', test: 'test/formats/conformance.test.ts' },
  claude: client,
}

export function elsewhereOf(words: readonly string[]): Elsewhere | undefined {
  const text = words.join(' ')
  const [name] = Object.keys(elsewhere)
    .filter((name) => text === name || text.startsWith(`${name} `))
    .sort((one, other) => other.length - one.length)
  return name === undefined ? undefined : elsewhere[name]
}
