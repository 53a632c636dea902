/** Where a running sidecar is found. */
import type { Address, Config } from '../config/config.ts'

/** Undefined where the text is no http URL; the scheme may be left out. */
export function urlOf(text: string): URL | undefined {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`)
  return url !== null && /^https?:$/.test(url.protocol) ? url : undefined
}

/** Replaces a wildcard address by the loopback address. */
export function addressUrl({ host, port }: Pick<Address, 'host' | 'port'>, isSecure = false): URL {
  const reached = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return new URL(`${isSecure ? 'https' : 'http'}://${reached.includes(':') ? `[${reached}]` : reached}:${port}`)
}

/** Of the admin port that a configuration names. */
export const adminUrl = ({ admin, adminTls }: Pick<Config, 'admin' | 'adminTls'>): URL => addressUrl(admin, adminTls !== undefined)

/** `--admin` as a URL, for commands that speak to a sidecar elsewhere, and the flags that are settings. */
export function adminFlag<Flags extends Readonly<Record<string, string | undefined>>>(flags: Flags) {
  const { admin, ...rest } = flags
  const url = /^https?:/.test(admin ?? '') ? urlOf(admin as string) : undefined
  return { url, flags: url === undefined ? flags : rest }
}

/** The code of OpenSSL where a request failed because the sidecar's certificate is not trusted here. */
export function untrusted(error: Error): string | undefined {
  const { code = '' } = (error.cause ?? error) as NodeJS.ErrnoException
  return /CERT|SIGNATURE/.test(code) ? code : undefined
}
export const trustMend =
  'Set NODE_EXTRA_CA_CERTS=/path/ca.pem. The certificate must name the address that is asked: --admin https://NAME:PORT asks another.'
