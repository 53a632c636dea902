/** Mistakes of configuration that everybody makes, told from one failed request. Pure; told by the running sidecar, by `verify` and by `doctor`. */
import type { Route } from '../config/config.ts'
import { loopback } from '../config/forward-proxy.ts'
import type { Container } from '../lib/container.ts'
import type { UnreachableReason } from '../lib/exchange.ts'

export interface Mistake {
  /** A word for it. */
  readonly kind: string
  /** What is seen, as a sentence. */
  readonly what: string
  /** What to do about it. */
  readonly mend: string
}

/** What is known of one request. */
export interface Evidence {
  /** As it is configured. */
  readonly upstream: URL | undefined
  readonly method: string
  /** As the upstream got it. */
  readonly path: string
  /** The upstream's; undefined when it gave no answer. */
  readonly status?: number | undefined
  readonly contentType?: string | undefined
  /** The upstream's words. */
  readonly said?: string | undefined
  readonly unreachable?: { readonly reason: UnreachableReason; readonly code: string | undefined } | undefined
  /** Plain HTTP was refused there, and TLS is spoken. */
  readonly speaksTls?: boolean | undefined
  /** The sidecar's own refusal. */
  readonly refused?: string | undefined
  /** Where the sidecar runs. */
  readonly container?: Container | undefined
}

/** Undefined where nothing is wrong, or nothing can be told for certain. */
export function mistakeOf(evidence: Evidence): Mistake | undefined {
  if (evidence.refused === 'loop') {
    return {
      kind: 'loop',
      what: 'The upstream is this sidecar itself, or leads back to it: the request went round until it was refused with 508.',
      mend: 'Set --upstream to the address of the gateway behind the sidecar.',
    }
  }
  if (evidence.unreachable !== undefined) return ofUnreachable(evidence, evidence.unreachable)
  return evidence.status === undefined ? undefined : ofAnswer(evidence, evidence.status)
}

/** The path that the upstream gets, as `proxy/routes` makes it. */
export function pathAt({ upstream, prefix, stripPrefix }: Pick<Route, 'upstream' | 'prefix' | 'stripPrefix'>, path: string): string {
  const rest = stripPrefix && path.startsWith(prefix) ? path.slice(prefix.replace(/\/$/, '').length) : path
  return upstream.pathname.replace(/\/+$/, '') + (rest.startsWith('/') ? rest : `/${rest}`)
}

const version = /\/v\d\w*(?=\/|$)/
const twice = /(\/v\d\w*)\1(?=\/|$)/
const modelApi = /\/(chat\/completions|completions|responses|messages|embeddings|models)$/

function ofAnswer(evidence: Evidence, status: number): Mistake | undefined {
  const { upstream, path, method, contentType, said = '' } = evidence
  if (status === 400 && /HTTP request (was sent )?to (an )?HTTPS|requires TLS/i.test(said)) return needsTls(upstream)
  if (status === 407) return inTheWay('A proxy on the way to the upstream wants credentials (407).')
  const doubled = twice.exec(`${path} ${said}`)?.[1]
  if (status === 404 && doubled !== undefined) return isTwice(upstream, path, doubled)
  if (status === 404 && !version.test(path) && modelApi.test(path)) {
    return {
      kind: 'version missing',
      what: `The upstream got ${path} and answered 404: there is no /v1 in it.`,
      mend: "End the clients' base URL with /v1, as in http://127.0.0.1:4141/v1 (Anthropic's clients add it themselves), or the upstream's address.",
    }
  }
  // A proxy's page for an upstream that is away is no wrong port.
  if (method === 'POST' && status < 500 && /^\s*text\/html\b/i.test(contentType ?? '')) {
    return {
      kind: 'html',
      what: `The upstream answered ${path} with an HTML page (${status}): that is a web server, not a model API.`,
      mend: `Are port and base path of --upstream right${upstream === undefined ? '' : ` (${upstream.origin}${upstream.pathname})`}? Or does a login page or proxy stand in the way, or is its address to begin with https://?`,
    }
  }
  return undefined
}

function isTwice(upstream: URL | undefined, path: string, doubled: string): Mistake {
  const base = upstream?.pathname.replace(/\/+$/, '') ?? ''
  const mend = base.endsWith(doubled)
    ? `Take ${doubled} off the upstream's address: ${upstream?.origin}${base.slice(0, -doubled.length)}. Clients bring it in their paths.`
    : `Take ${doubled} off the clients' base URL, or off --upstream of the sidecar.`
  return { kind: 'version twice', what: `The upstream got ${path} and answered 404: ${doubled} is in it twice.`, mend }
}

const needsTls = (upstream: URL | undefined): Mistake => ({
  kind: 'http to https',
  what: `The upstream${at(upstream)} speaks TLS, and was spoken to by plain HTTP.`,
  mend: `Begin its address with https://${upstream === undefined ? '' : `: https://${upstream.host}${upstream.pathname}`}`,
})

const inTheWay = (what: string): Mistake => ({
  kind: 'proxy',
  what,
  mend: 'Put its user and password into HTTPS_PROXY or HTTP_PROXY, or name the upstream’s host in NO_PROXY if it is reached without a proxy.',
})

const at = (upstream: URL | undefined) => (upstream === undefined ? '' : ` ${upstream.host}`)

const untrusted = /SELF_SIGNED|UNABLE_TO_(GET|VERIFY)/
const noTls = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNEXPECTED_MESSAGE/

function ofUnreachable(evidence: Evidence, { reason, code = '' }: NonNullable<Evidence['unreachable']>): Mistake | undefined {
  const { upstream, container, speaksTls } = evidence
  if (speaksTls === true) return needsTls(upstream)
  if (reason === 'connect' && container !== undefined && upstream !== undefined && loopback.test(upstream.hostname)) {
    return container === 'pod' ? nobodyInPod(upstream) : ownContainer(upstream)
  }
  if (reason === 'tls' && noTls.test(code)) {
    return {
      kind: 'https to http',
      what: `The upstream${at(upstream)} speaks plain HTTP, and was spoken to by TLS.`,
      mend: `Begin its address with http://${upstream === undefined ? '' : `: http://${upstream.host}${upstream.pathname}`}`,
    }
  }
  if (reason === 'tls' && untrusted.test(code)) {
    return {
      kind: 'untrusted certificate',
      what: `The certificate of the upstream${at(upstream)} is of an authority that is not known here (${code}): a private one, or a proxy's that reads TLS.`,
      mend: 'Name the certificate of that authority in NODE_EXTRA_CA_CERTS=/path/ca.pem, and start the sidecar again.',
    }
  }
  if (reason === 'tls' && /HAS_EXPIRED|NOT_YET_VALID/.test(code)) {
    return {
      kind: 'certificate time',
      what: `By the clock of this machine the certificate of the upstream${at(upstream)} is not valid now (${code}).`,
      mend: 'Set the clock (NTP) if it is wrong; else the upstream needs a new certificate.',
    }
  }
  // An upstream that closes may only be restarted; on the ports of TLS it is more likely that it did not understand.
  const isSuspect = reason === 'protocol' || (reason === 'closed' && /^8?443$/.test(upstream?.port ?? ''))
  if (isSuspect && upstream?.protocol === 'http:') {
    return {
      kind: 'no http',
      what: `The upstream ${upstream.host} does not answer in HTTP.`,
      mend: 'If it speaks TLS, begin its address with https://; else the port belongs to another program. tokenweir doctor finds out which.',
    }
  }
  if (reason === 'proxy_refused' || reason === 'proxy_unreachable') {
    const failed = reason === 'proxy_refused' ? 'refuses the way to' : 'cannot be reached on the way to'
    return inTheWay(`The forward proxy of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY ${failed} the upstream${at(upstream)}.`)
  }
  return undefined
}

function ownContainer({ hostname, host, port, protocol }: URL): Mistake {
  return {
    kind: 'container',
    what: `Nothing listens at ${host}: the sidecar runs in a container, where ${hostname} is the container itself.`,
    mend:
      `For a gateway on the host write ${protocol}//host.docker.internal${port === '' ? '' : `:${port}`} (on Linux start the container with ` +
      '--add-host=host.docker.internal:host-gateway, and let the gateway listen on 0.0.0.0); for one in another container, its service name.',
  }
}

const nobodyInPod = ({ host }: URL): Mistake => ({
  kind: 'container',
  what: `Nothing listens at ${host} in this pod.`,
  mend: 'Is the gateway a container of the same pod, is it up, and is that its port? A gateway elsewhere is named by its Service.',
})
