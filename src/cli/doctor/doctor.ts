/** The checks of `tokenweir doctor`, without its output: what is around a sidecar, whether it runs or not. Changes nothing but a small file that it removes again. */
import { availableParallelism, release, totalmem, type } from 'node:os'
import type { Config, ConfigError } from '../../config/config.ts'
import { containerOf } from '../../lib/container.ts'
import { adminUrl, trustMend, untrusted } from '../admin-url.ts'
import { type Check, clockWarning, failed, ok, skipped, warned } from '../checks.ts'
import { type Readiness, readiness } from '../verify/admin.ts'
import { examineCollectors } from './collectors.ts'
import { examineDisk, examineLedger } from './ledger.ts'
import { examinePort } from './ports.ts'
import { withoutSecrets } from './secrets.ts'
import { examineUpstreams } from './upstreams.ts'

export interface DoctorOptions {
  /** What is in effect, and where it is set; or what is wrong with it. */
  readonly loaded: { readonly config: Config; readonly origins: ReadonlyMap<string, string> } | { readonly errors: readonly ConfigError[] }
  readonly env: Readonly<Record<string, string | undefined>>
  readonly version: string
  readonly patienceMs: number
}

export interface Report {
  readonly about: Readonly<Record<string, string>>
  readonly checks: readonly Check[]
}

/** Never rejects because of what it finds. No text in the report has a secret of the configuration or the environment. */
export async function examine(options: DoctorOptions): Promise<Report> {
  const { loaded, env, version } = options
  const checks =
    'errors' in loaded
      ? [...loaded.errors.map(wrong), ...(await examineCollectors(env, options)).checks]
      : await examineAll(options, loaded)
  const about = {
    tokenweir: version,
    node: process.versions.node,
    system: `${type()} ${release()} ${process.arch}, ${availableParallelism()} CPUs, ${Math.round(totalmem() / 2 ** 20)} MiB`,
    container: containerOf(env) ?? 'no',
    time: new Date().toISOString(),
  }
  const clean = withoutSecrets(env, 'errors' in loaded ? undefined : loaded.config)
  return {
    about,
    checks: checks.map(({ name, status, what, mend }) => ({
      ...{ name: clean(name), status, what: clean(what) },
      ...(mend === undefined ? {} : { mend: clean(mend) }),
    })),
  }
}

/** What was written is not shown: it may be a secret in the wrong place. */
const wrong = ({ key, where, message }: ConfigError): Check =>
  failed(
    'configuration',
    `${where ?? key}${where === undefined || where === key ? '' : ` (${key})`}: ${message.replace(/"(?:[^"\\]|\\.)*"/g, '"…"')}`,
    'tokenweir check shows it with what was written.',
  )

async function examineAll(
  options: DoctorOptions,
  loaded: { readonly config: Config; readonly origins: ReadonlyMap<string, string> },
): Promise<Check[]> {
  const { config } = loaded
  const { env } = options
  const seen = await readiness(adminUrl(config)).catch((error: Error) => error)
  const isRunning = seen !== undefined && (!(seen instanceof Error) || untrusted(seen) !== undefined)
  const [upstreams, collectors] = await Promise.all([examineUpstreams(config.routes, env, options), examineCollectors(env, options)])
  return [
    settings(loaded),
    sidecar(config, seen),
    await examinePort({ name: 'proxy', flag: '--listen', ...config.listen }, isRunning),
    ...(isRunning ? [] : [await examinePort({ name: 'admin', flag: '--admin', ...config.admin }, false)]),
    ...(await examineLedger(config, isRunning)),
    ...examineDisk(config.ledger),
    clock([...upstreams.ahead, ...collectors.ahead]),
    ...upstreams.checks,
    ...collectors.checks,
  ]
}

function settings({ config, origins }: { readonly config: Config; readonly origins: ReadonlyMap<string, string> }): Check {
  const set = [...origins].map(([key, origin]) => `${key} (${origin})`)
  const told = `valid; capture ${config.capture}, semconv ${config.semconv}; set: ${set.length === 0 ? 'nothing' : set.join(', ')}`
  return ok('configuration', told)
}

function sidecar(config: Config, seen: Readiness | undefined | Error): Check {
  const { origin } = adminUrl(config)
  if (seen === undefined) {
    return failed('sidecar', `What answers at ${origin} is not tokenweir.`, 'Stop it, or choose another port with --admin HOST:PORT.')
  }
  const code = seen instanceof Error ? untrusted(seen) : undefined
  if (code !== undefined) return warned('sidecar', `The certificate at ${origin} is not trusted (${code}).`, trustMend)
  if (seen instanceof Error) return skipped('sidecar', `does not run: nothing answers at ${origin}`)
  if (!seen.ready) return failed('sidecar', `It runs, and serves no requests: ${seen.reasons.join(' ')}`, 'Look at what it said on stderr.')
  return seen.problems.length === 0
    ? ok('sidecar', `runs and is ready at ${origin}`)
    : failed(
        'sidecar',
        `It serves requests, and their records are in trouble: ${seen.problems.join(' ')}`,
        'Look at docs/troubleshooting.md, "records".',
      )
}

/** Before the day on which this was written no clock is right. */
const writtenAt = Date.UTC(2026, 10, 1)

function clock(ahead: readonly { readonly who: string; readonly ms: number }[]): Check {
  if (Date.now() < writtenAt) return failed('clock', `This machine says ${new Date().toISOString()}.`, 'Set its clock (NTP).')
  const off = ahead.map(({ who, ms }) => clockWarning(who, ms)).find((check) => check !== undefined)
  if (off !== undefined) return off
  return ahead.length === 0
    ? skipped('clock', 'nobody answered with a time to compare it with')
    : ok('clock', `agrees with ${ahead[0]?.who}`)
}
