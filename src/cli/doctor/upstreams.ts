/** Each upstream, as the sidecar reaches it: through the same forward proxy, with the same trust. */
import { mistakeOf } from '../../conclude/mistakes.ts'
import type { Route } from '../../config/config.ts'
import { containerOf } from '../../lib/container.ts'
import { type Check, failed, ok, warned } from '../checks.ts'
import { type Probed, probe } from '../probe.ts'

export interface Examined {
  readonly checks: readonly Check[]
  /** How far their clocks are ahead, in milliseconds. */
  readonly ahead: readonly { readonly who: string; readonly ms: number }[]
}

export async function examineUpstreams(
  routes: readonly Route[],
  env: Readonly<Record<string, string | undefined>>,
  { patienceMs }: { readonly patienceMs: number },
): Promise<Examined> {
  if (routes.length === 0) {
    const mend = 'Give doctor the options, variables and --config of the sidecar; without an upstream it does not start.'
    return { checks: [warned('upstream', 'The configuration names none.', mend)], ahead: [] }
  }
  const seen = await Promise.all(
    routes.map(async (route) => ({ route, probed: await probe(route.upstream, { proxy: route.proxy, patienceMs }) })),
  )
  return {
    checks: seen.map(({ route, probed }) => judge(route, probed, env)),
    ahead: seen.flatMap(({ route, probed }) =>
      probed.aheadMs === undefined ? [] : [{ who: `the upstream ${route.upstream.host}`, ms: probed.aheadMs }],
    ),
  }
}

/** Scheme, host and port, and of the path what is no secret: words as they are usual in a base path. */
export const shownUrl = ({ origin, pathname }: URL) =>
  origin + pathname.replace(/[^/]+/g, (part) => (/^(v\d{1,2}(alpha|beta)?\d?|[a-z]{1,12})$/.test(part) ? part : '***'))

function judge(
  route: Route,
  { answer, unreachable, speaksTls, ownError }: Probed,
  env: Readonly<Record<string, string | undefined>>,
): Check {
  const { upstream, proxy } = route
  const name = `upstream ${route.name}`
  const through = proxy === undefined || proxy === 'none' ? '' : ` through the proxy ${proxy.origin}`
  const where = `${shownUrl(upstream)}${through}`
  const evidence = { upstream: new URL(shownUrl(upstream)), method: 'GET', path: upstream.pathname, container: containerOf(env) } as const
  const refused = ownError === 'loop' ? ownError : undefined
  const mistake = mistakeOf({ ...evidence, status: answer?.status, unreachable, speaksTls, refused })
  if (mistake !== undefined) return failed(name, `${where}: ${mistake.what}`, mistake.mend)
  if (unreachable !== undefined || answer === undefined) {
    return failed(
      name,
      `${where} cannot be reached: ${unreachable?.reason} (${unreachable?.code}).`,
      mends[unreachable?.reason ?? 'closed'] ?? mends.closed,
    )
  }
  const told = `${where} answers in ${Math.round(answer.tookMs)} ms, ${upstream.protocol === 'https:' ? 'over TLS, ' : ''}with status ${answer.status}`
  if (ownError !== undefined)
    return warned(
      name,
      `${told}: it is a tokenweir too (${ownError}).`,
      'Is that meant, or is it this sidecar? Name the gateway behind it.',
    )
  return answer.status >= 500 ? warned(name, `${told}.`, 'Ask the upstream why.') : ok(name, told)
}

const mends: Readonly<Record<string, string>> & { readonly closed: string } = {
  dns: 'Is the name right, and does this machine resolve it?',
  connect: 'Is the upstream running, and is that its address and port? Does a firewall stand between?',
  timeout: 'Is that its address? A firewall that drops packets looks like this.',
  tls: 'Does it speak TLS there, with a certificate of its name? For a private authority set NODE_EXTRA_CA_CERTS=/path/ca.pem.',
  closed: 'Is that port the one of its API?',
}
