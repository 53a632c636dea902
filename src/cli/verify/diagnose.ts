/** Why a request through the sidecar failed, where the reason is a mistake that everybody makes. */
import { type Evidence, type Mistake, mistakeOf, pathAt } from '../../conclude/mistakes.ts'
import type { Route } from '../../config/config.ts'
import type { Container } from '../../lib/container.ts'
import type { UnreachableReason } from '../../lib/exchange.ts'
import { type Probed, probe } from '../probe.ts'
import type { Answered, Reply } from './ask.ts'

export interface Diagnosis {
  /** As far as the configuration of this command says; empty when it names no upstream. */
  readonly routes: readonly Route[]
  /** As it was sent to the sidecar. */
  readonly path: string
  readonly container: Container | undefined
  /** Sends the same request to another path. */
  readonly askAt: (path: string) => Promise<Reply>
}

/** Undefined where it is none of them. */
export async function diagnose({ routes, path, container, askAt }: Diagnosis, reply: Answered): Promise<Mistake | undefined> {
  const route = routeOf(routes, path)
  const upstream = route?.upstream
  const known = { upstream, method: 'POST', path: route === undefined ? path : pathAt(route, path), container } as const
  const { ownError, status, contentType, said } = reply
  if (ownError !== undefined) return mistakeOf({ ...known, ...(await ofOwnError(ownError, route)) })
  const mistake = mistakeOf({ ...known, status, contentType, said })
  return status === 404 ? ((await elsewhere(known, askAt, path)) ?? mistake) : mistake
}

async function ofOwnError(code: string, route: Route | undefined): Promise<Partial<Evidence>> {
  if (!code.startsWith('upstream_')) return { refused: code }
  const reason = code.slice('upstream_'.length) as UnreachableReason
  const seen: Probed | undefined = route === undefined ? undefined : await probe(route.upstream, { proxy: route.proxy })
  return { unreachable: { reason, code: seen?.unreachable?.code }, speaksTls: seen?.speaksTls }
}

function routeOf(routes: readonly Route[], path: string): Route | undefined {
  return routes
    .filter(({ prefix }) => prefix === '/' || path === prefix || path.startsWith(`${prefix.replace(/\/$/, '')}/`))
    .sort((a, b) => b.prefix.length - a.prefix.length)[0]
}

const inPath = /\/v1(?=\/)/

/** What the same request finds with `/v1` in its path, or without. */
async function elsewhere({ upstream, path }: Evidence, askAt: Diagnosis['askAt'], sent: string): Promise<Mistake | undefined> {
  const isWith = inPath.test(sent)
  const other = isWith ? sent.replace(inPath, '') : `/v1${sent}`
  const reply = await askAt(other)
  if ('failure' in reply || reply.status < 200 || reply.status > 299) return undefined
  const what = `The sidecar's upstream answers ${other}, and not ${sent}`
  if (!isWith) return { kind: 'version missing', what: `${what}: /v1 is missing.`, mend: "End the clients' base URL with /v1." }
  const twice = mistakeOf({ upstream, method: 'POST', path: /\/v1\/v1\//.test(path) ? path : `/v1${sent}`, status: 404 })
  return { kind: 'version twice', what: `${what}: /v1 is there twice.`, mend: twice?.mend ?? '' }
}
