/** The name of an API key: `key:` and ten hex digits of an HMAC. The same key has the same name wherever it is sent; the name says nothing of the key. */
import { createHmac, createSecretKey } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { createMemory } from './memory.ts'

export const keyNamePrefix = 'key:'
const nameDigits = 10

/** Where clients put their keys, in the order in which they are looked for: OpenAI and most others, Anthropic, Azure, Gemini. */
const keyHeaders = ['authorization', 'x-api-key', 'api-key', 'x-goog-api-key'] as const

/** Gives the name of the key in a request. A key seen before costs a look into a table: measured 0.04 µs, against 5 µs for the HMAC. */
export function createKeyNames(salt: Uint8Array): (headers: IncomingHttpHeaders, target: string) => string | undefined {
  const names = createMemory<string>()
  const secret = createSecretKey(salt) // with the bare bytes, each HMAC makes one: ten times the cost

  function nameOf(sent: string, key: string | undefined): string | undefined {
    if (key === undefined || key === '') return undefined
    const name = keyNamePrefix + createHmac('sha256', secret).update(key).digest('hex').slice(0, nameDigits)
    names.set(sent, name)
    return name
  }

  return (headers, target) => {
    for (const header of keyHeaders) {
      const sent = headers[header]
      if (typeof sent !== 'string') continue
      const name = names.get(sent) ?? nameOf(sent, header === 'authorization' ? keyOfAuthorization(sent) : sent.trim())
      if (name !== undefined) return name
    }
    const inQuery = keyOfQuery(target)
    return inQuery === undefined ? undefined : (names.get(inQuery) ?? nameOf(inQuery, inQuery))
  }
}

/** Schemes whose credentials stay the same from request to request; AWS signatures do not. */
function keyOfAuthorization(value: string): string | undefined {
  return /^(?:bearer|basic|token|key)\s+(\S.*)$/i.exec(value.trim())?.[1]
}

/** Gemini also takes its key as `?key=`. */
function keyOfQuery(target: string): string | undefined {
  return target.includes('key=') ? /[?&]key=([^&#]+)/.exec(target)?.[1] : undefined
}
