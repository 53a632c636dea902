/** `tokenweir verify`: proves on a running sidecar that a streamed and a plain request are recorded with their tokens, or says what is wrong. */
import type { Command } from 'commander'
import { type Check, isFailed } from '../checks.ts'
import type { Api } from '../verify/ask.ts'
import { type CommandContext, type Environment, exit, type Io, type Painter, painter, refuse } from './context.ts'
import { checksText, widthFor } from './show-checks.ts'
import { folded } from './text.ts'

interface Options {
  readonly sidecar?: string
  readonly api: string
  readonly path?: string
  readonly model?: string
  readonly header: readonly string[]
  readonly keyEnv?: string
  readonly log?: string
  readonly timeout: string
  readonly wait: string
  readonly json?: boolean
}

const apis: readonly Api[] = ['chat', 'responses', 'messages']

const help = `
Give it --config, --ledger and --admin of the running sidecar; --admin may be a URL here. If the ledger's file cannot be
read, verify asks the sidecar for the rows (with TOKENWEIR_ADMIN_TOKEN, if the sidecar has a token).

It checks both responses as a client gets them, their rows in the ledger with tokens above zero, and their log lines (in
the file of --log, or else by the sidecar's own count). If a collector is configured, it must have taken their spans. The
model gives two short responses, and a third one if /v1 is missing or doubled in the path.

Examples:
  tokenweir verify --model gpt-4o-mini --key-env OPENAI_API_KEY
  tokenweir verify --api messages --model claude-haiku-4-5 --key-env ANTHROPIC_API_KEY
  tokenweir verify --sidecar http://127.0.0.1:4141 --header 'x-portkey-provider: openai' --log tokenweir.log`

export function verifyCommand({ program, env, io, flags, end, refuseUse }: CommandContext): void {
  program
    .command('verify')
    .description('send a streamed and a plain request through a running sidecar, and check that both are recorded')
    .option('--sidecar <url>', 'where clients connect (default: the setting listen)')
    .option('--api <chat|responses|messages>', 'which API to speak', 'chat')
    .option('--path <path>', "path of the requests (default: the API's own, such as /v1/chat/completions)")
    .option('--model <name>', 'model to request (default: a small one)')
    .option(
      '--header <field>',
      "'NAME: VALUE' to send with the requests; may be repeated",
      (field, all: readonly string[]) => [...all, field],
      [],
    )
    .option('--key-env <name>', 'variable that holds the API key')
    .option('--log <file>', "file with the sidecar's standard output")
    .option('--timeout <seconds>', 'how long to wait for one response', '60')
    .option('--wait <seconds>', 'how long to wait for the records', '15')
    .option('--json', 'print one JSON document')
    .addHelpText('after', help)
    .action(async (options: Options, { args }: Command) => {
      if (args.length > 0) return refuseUse(`${JSON.stringify(args[0])} is one argument too many.`)
      const asked = await understand(options, flags(), env, io)
      if (typeof asked === 'number') return end(asked)
      if (typeof asked === 'string') return refuseUse(asked)
      const { verify } = await import('../verify/run.ts')
      const { createIds } = await import('../../lib/ids.ts')
      const progress = progressOn(io)
      const checks = await verify({ ...asked, env, ids: createIds(), onStep: progress.step })
      progress.clear()
      const isWell = !isFailed(checks)
      if (options.json === true) io.stdout.write(`${JSON.stringify({ ok: isWell, sidecar: asked.sidecar.href, checks }, undefined, 2)}\n`)
      else show(checks, io, env)
      end(isWell ? exit.done : exit.failed)
    })
}

/** An error message, or an exit code when the error has been reported. */
async function understand(options: Options, flags: ReturnType<CommandContext['flags']>, env: Environment, io: Io) {
  const { loadConfig } = await import('../../config/config.ts')
  const { paths, usualModels } = await import('../verify/ask.ts')
  const { addressUrl, adminFlag, adminUrl, urlOf } = await import('../admin-url.ts')
  const admin = adminFlag(flags)
  const loaded = await loadConfig({ flags: admin.flags, env, readFile: io.readFile, upstreamNeeded: false })
  if ('errors' in loaded) return refuse(loaded.errors, env, io)
  const { config } = loaded
  if (options.sidecar === undefined && config.listen.unix !== undefined)
    return 'verify does not reach a Unix socket. Name another address of the sidecar: --sidecar http://127.0.0.1:4141.'
  const sidecar = options.sidecar === undefined ? addressUrl(config.listen, config.tls !== undefined) : urlOf(options.sidecar)
  if (sidecar === undefined) return `--sidecar ${JSON.stringify(options.sidecar)} is not a URL. Write it as http://127.0.0.1:4141.`
  const api = apis.find((name) => name === options.api)
  if (api === undefined) return `--api ${JSON.stringify(options.api)} is none of ${apis.join(', ')}.`
  const [timeoutMs, waitMs] = [millisecondsOf(options.timeout), millisecondsOf(options.wait)]
  if (timeoutMs === undefined || waitMs === undefined) return '--timeout and --wait are seconds, such as 30.'
  const headers = headersOf(options, api, env)
  if (typeof headers === 'string') return headers
  const path = options.path ?? paths[api]
  if (!path.startsWith('/')) return `--path ${JSON.stringify(path)} must begin with "/".`
  return {
    ...{
      sidecar,
      admin: admin.url ?? adminUrl(config),
      ledger: config.ledger,
      adminToken: config.adminToken,
      log: options.log,
      api,
      path,
    },
    ...{ model: options.model ?? usualModels[api], headers, timeoutMs, waitMs, routes: config.routes },
  }
}

const secondsMax = 3600

function millisecondsOf(text: string): number | undefined {
  const seconds = Number(text)
  return text.trim() !== '' && seconds > 0 && seconds <= secondsMax ? seconds * 1000 : undefined
}

/** Error messages never quote the value of a header. */
function headersOf({ header, keyEnv }: Options, api: Api, env: Environment): Readonly<Record<string, string>> | string {
  const headers: Record<string, string> = {}
  if (keyEnv !== undefined) {
    const key = env[keyEnv]
    if (key === undefined || key === '') return `The variable ${keyEnv} of --key-env is not set.`
    if (api === 'messages') headers['x-api-key'] = key
    else headers['authorization'] = `Bearer ${key}`
  }
  for (const [index, field] of header.entries()) {
    const [, name, value] = /^\s*([!#$%&'*+.^_`|~\w-]+)\s*:\s*(.*?)\s*$/.exec(field) ?? []
    if (name === undefined || value === undefined) return `The ${index + 1}. --header is no field. Write it as 'NAME: VALUE'.`
    headers[name.toLowerCase()] = value
  }
  return headers
}

/** One line on stderr, on a terminal only. */
function progressOn({ stderr }: Io) {
  const isShown = stderr.isTTY === true
  const clear = () => {
    if (isShown) stderr.write('\r\u001b[K')
  }
  return {
    clear,
    step(what: string) {
      clear()
      if (isShown) stderr.write(`${what} …`)
    },
  }
}

function show(checks: readonly Check[], io: Io, env: Environment): void {
  io.stdout.write(`${checksText(checks, io, env)}\n\n${verdict(checks, widthFor(io, env), painter(io.stdout, env))}\n`)
}

function verdict(checks: readonly Check[], width: number, paint: Painter): string {
  const failures = checks.filter(({ status }) => status === 'failed').length
  if (failures > 0) return paint.red(`${failures} of ${checks.length} checks failed.`)
  const spans = checks.find(({ name }) => name === 'span')
  const unproven = spans?.status === 'skipped' ? ' Spans were not checked: none are exported.' : ''
  const proven = folded(`Streamed and plain requests are recorded with their tokens.${unproven}`, width)
  return proven.map(paint.green).join('\n')
}
