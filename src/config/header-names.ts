/** Names of headers that the configuration tells the sidecar to read. Their values are recorded, so none may hold a credential. */
import { fail, shown, ValueError } from './values.ts'

const credentials =
  /^(proxy-)?authorization$|^(set-)?cookie2?$|^x-portkey-config$|^x-amzn-oidc-data$|(^|[-_])(auth|authorization|token|accesstoken|secret|password|passwd|(api)?key|credentials?|signature|jwt|assertion)s?$/

/** A field name in lower case. */
export function headerName(value: unknown): string {
  const name = typeof value === 'string' ? value.trim().toLowerCase() : ''
  if (!/^[\w!#$%&'*+.^`|~-]{1,100}$/.test(name)) return fail(value, 'is no header name', 'Write a name such as x-user-id.')
  if (credentials.test(name)) {
    throw new ValueError(`The header ${shown(name)} can hold a credential, and what is read here is recorded. Write another header.`)
  }
  return name
}
