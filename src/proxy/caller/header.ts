/** A caller as a header names it. Whoever can reach the sidecar can write the header: it is as trustworthy as the network in front. */
import type { IncomingHttpHeaders } from 'node:http'
import { keyNamePrefix } from './api-key.ts'

const nameCharsMax = 200

export function headerReader(name: string): (headers: IncomingHttpHeaders) => string | undefined {
  return (headers) => callerName(headers[name])
}

/** A name that may be recorded: short, one line, and not dressed up as the name of a key. */
export function callerName(value: unknown): string | undefined {
  const name = typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : ''
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  if (name === '' || name.length > nameCharsMax || /[\x00-\x1f\x7f]/.test(name) || name.startsWith(keyNamePrefix)) return undefined
  return name
}
