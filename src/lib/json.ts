/** Readers of untrusted JSON. They never throw and never coerce: a value that is missing or of another type is `undefined`. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }
export type JsonObject = { readonly [key: string]: Json | undefined }

/** The value, or `undefined` when there is no text, or it is not JSON. */
export function parseJson(text: string | undefined): Json | undefined {
  if (text === undefined || text === '') return undefined // an error takes twenty times as long as a short text
  try {
    return JSON.parse(text) as Json
  } catch {
    return undefined
  }
}

export function object(value: Json | undefined): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined
}

export function array(value: Json | undefined): readonly Json[] | undefined {
  return Array.isArray(value) ? (value as readonly Json[]) : undefined
}

export function string(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

export function number(value: Json | undefined): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

export function boolean(value: Json | undefined): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined
}

/** A token count: a safe integer of zero or more. Anything else is `undefined`. */
export function count(value: Json | undefined): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

/** A non-empty string. */
export function text(value: Json | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** The value at a path of keys, through objects only. */
export function at(value: Json | undefined, ...keys: readonly string[]): Json | undefined {
  let here = value
  for (const key of keys) {
    const holder = object(here)
    if (holder === undefined) return undefined
    here = holder[key]
  }
  return here
}

/** The strings of an array of strings; `undefined` when it is not one. A single string counts as an array of one. */
export function strings(value: Json | undefined): readonly string[] | undefined {
  if (typeof value === 'string') return [value]
  const list = array(value)
  if (list === undefined) return undefined
  const found = list.filter((item): item is string => typeof item === 'string')
  return found.length === list.length && found.length > 0 ? found : undefined
}
