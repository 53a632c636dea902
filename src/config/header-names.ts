/** Names of headers that the configuration tells the sidecar to read. Their values are recorded, so none may hold a credential. */
import { fail, shown, ValueError } from './values.ts'

/** Whole names: browsers send keys to WebSockets as a subprotocol; the others hold a URL, whose query may hold a key, or are one token. */
const carriers =
  /^(proxy-)?authorization$|^(set-)?cookie2?$|^sec-websocket-protocol$|^referer$|^x-(original|forwarded|rewrite)-ur[il]$|^x-envoy-original-path$|^x-portkey-config$|^x-amzn-oidc-data$/
/** The last word of a name, also written together (`x-accesstoken`) or with a number (`x-hub-signature-256`). */
const words =
  /((^|[-_])(auth|key|jwt|bearer|dpop|pwd|passphrase|otp)|authorization|token|secret|password|passwd|(api|access|secret|private|subscription)key|credential|signature|assertion)s?([-_]?\d+)?$/

/** A field name in lower case. */
export function headerName(value: unknown): string {
  const name = typeof value === 'string' ? value.trim().toLowerCase() : ''
  if (!/^[\w!#$%&'*+.^`|~-]{1,100}$/.test(name)) return fail(value, 'is no header name', 'Write a name such as x-user-id.')
  if (carriers.test(name) || words.test(name)) {
    throw new ValueError(`The header ${shown(name)} can hold a credential, and what is read here is recorded. Write another header.`)
  }
  return name
}
