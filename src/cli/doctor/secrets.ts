/** Takes out of a report whatever secret of the configuration or the environment has come into it. */
import type { Config } from '../../config/config.ts'
import { without } from '../../lib/quoted.ts'
import { headersOf } from './collectors.ts'

const secretName = /key|token|secret|pass|auth|cred|cookie|headers|sig/i

export function withoutSecrets(env: Readonly<Record<string, string | undefined>>, config: Config | undefined): (text: string) => string {
  const values = Object.entries(env).flatMap(([name, value = '']) => [
    ...(secretName.test(name) ? [value] : []),
    ...(/headers/i.test(name) ? Object.values(headersOf(value)).flatMap((one) => [one, ...one.split(/\s+/)]) : []),
    ...credentialsIn(value),
  ])
  const ofConfig = [config?.adminToken ?? '', ...(config?.traceUrl === undefined ? [] : credentialsIn(config.traceUrl))]
  const secrets = [...new Set([...values, ...ofConfig])].filter((secret) => !/^(true|false|\d{1,5}|\/[\w./-]*)$/.test(secret))
  return (text) => without(text, secrets)
}

/** User and password of a URL, and what stands in its query. */
function credentialsIn(value: string): string[] {
  const url = URL.parse(value)
  if (url === null) return [/\/\/([^/@\s]+)@/.exec(value)?.[1] ?? '']
  return [url.username, url.password, ...url.searchParams.values()].flatMap((one) => [one, decoded(one)])
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
