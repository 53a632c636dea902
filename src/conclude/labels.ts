/** What a request says of itself: the operator's labels, each from the first of its sources that has a value which may be recorded. */
import { createHmac } from 'node:crypto'
import { inputKey, type Label, type LabelSource, labelValueCharsMax, wordFor } from '../config/labels.ts'
import type { Exchange } from '../lib/exchange.ts'
import { type Json, object, parseJson } from '../lib/json.ts'
import { isPrintableLine } from '../lib/printable.ts'
import { remembered } from '../lib/remembered.ts'
import { clientOf } from './clients.ts'

/** Why a value was not recorded. */
export type LabelFault = 'too_long' | 'not_text' | 'credential'

export interface LabelsOptions {
  readonly labels: readonly Label[]
  /** More words for values, as a label's `mapFile` has them now. */
  readonly mapOf: (label: Label) => Readonly<Record<string, string>> | undefined
  /** Of the ledger; undefined when no label is hashed. */
  readonly salt: Uint8Array | undefined
  readonly onDropped: (label: string, fault: LabelFault) => void
}

/** The labels of an exchange, by name; undefined when it has none. `outline` is what was read of the request's body. */
export type LabelReader = (exchange: Exchange, outline: Json | undefined) => Readonly<Record<string, string>> | undefined

export function createLabelReader({ labels, mapOf, salt, onDropped }: LabelsOptions): LabelReader {
  function find(label: Label, exchange: Exchange, outline: Json | undefined): string | undefined {
    for (const source of label.from) {
      const value = textOf(read(source, exchange, outline))
      if (value === undefined) continue
      const fault = isFine(value) ? undefined : faultOf(value)
      if (fault === undefined) return named(label, value)
      onDropped(label.name, fault)
    }
    return undefined
  }

  function named(label: Label, value: string): string {
    const word = wordFor(value, mapOf(label)) ?? wordFor(value, label.map)
    if (word !== undefined) return word
    return label.hash && salt !== undefined ? `hash:${createHmac('sha256', salt).update(value).digest('hex').slice(0, 10)}` : value
  }

  return (exchange, outline) => {
    let found: Record<string, string> | undefined
    for (const label of labels) {
      const value = find(label, exchange, outline)
      if (value === undefined) continue
      found ??= {}
      found[label.name] = value
    }
    return found
  }
}

function read(source: LabelSource, { opening, ending, request, caller }: Exchange, outline: Json | undefined): Json | undefined {
  switch (source.kind) {
    case 'header':
      return headerText(opening.requestHeaders[source.name])
    case 'pair':
      return pairOf(opening.requestHeaders[source.name], source.key, source.name === 'baggage')
    case 'body':
      return member(outline, source.path)
    case 'path':
      return decoded(opening.path.split('/')[source.segment] ?? '')
    case 'query':
      return opening.labelInputs?.[inputKey({ kind: 'query', name: source.name })]
    case 'claim':
      return (ending.labelInputs ?? opening.labelInputs)?.[inputKey({ kind: 'claim', name: source.name })]
    case 'claude-code':
      return ofClaudeCode(member(outline, ['metadata', 'user_id']), source.part)
    case 'client':
      return clientOf(opening.requestHeaders['user-agent'])
    case 'caller':
      return caller
    case 'conversation':
      return request?.conversationId
    case 'constant':
      return source.name
  }
}

function member(json: Json | undefined, path: readonly string[]): Json | undefined {
  let at = json
  for (const key of path) {
    const fields = object(at)
    at = fields !== undefined && Object.hasOwn(fields, key) ? fields[key] : undefined
  }
  return at
}

/** A list of pairs may be JSON (`x-portkey-metadata`); what begins with `_` there is the gateway's own. */
function headerText(value: string | undefined): Json | undefined {
  if (value === undefined || !value.startsWith('{')) return value
  const fields = object(parseJson(value))
  if (fields === undefined) return value
  const pairs = Object.entries(fields).filter(([key, text]) => !key.startsWith('_') && textOf(text) !== undefined)
  return pairs.map(([key, text]) => `${key}=${textOf(text)}`).join(',')
}

/** `team=a,feature=rag`, also with `:` or `;` as LiteLLM's tags are written, or a member of a JSON object. */
function pairOf(value: string | undefined, key: string, isBaggage: boolean): Json | undefined {
  if (value === undefined) return undefined
  if (value.startsWith('{')) return member(parseJson(value), [key])
  return (isBaggage ? membersOf : pairsOf)(value).get(key)
}

const pairsOf = remembered((list) => byKey(list.split(/[,;]/)))

/** Properties of a baggage's member stand behind a `;` (W3C Baggage §3.2.1). */
const membersOf = remembered((list) =>
  byKey(
    list.split(',').map((one) => one.split(';', 1)[0] as string),
    decoded,
  ),
)

/** Of pairs with the same key the first counts. */
function byKey(pairs: readonly string[], read?: (value: string) => string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const pair of pairs) {
    const end = pair.search(/[=:]/)
    const key = pair.slice(0, end).trim()
    const value = pair.slice(end + 1).trim()
    if (end >= 0 && !found.has(key)) found.set(key, read === undefined ? value : read(value))
  }
  return found
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** JSON in the versions of today, `user_HASH_account_UUID_session_UUID` before. */
function ofClaudeCode(value: Json | undefined, part: 'session' | 'user'): Json | undefined {
  if (typeof value !== 'string') return undefined
  const fields = value.startsWith('{') ? object(parseJson(value)) : undefined
  if (fields !== undefined) return part === 'session' ? fields['session_id'] : fields['account_uuid'] || fields['device_id']
  const [, user, account, session] = /^user_([0-9a-f]+)_account_([\w-]*?)_session_([\w-]+)$/.exec(value) ?? []
  return part === 'session' ? session : account || user
}

/** Texts, numbers and lists of them; nothing else is a value, nor is an empty text. */
function textOf(value: Json | undefined): string | undefined {
  if (typeof value === 'string') return value.trim() || undefined
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (!Array.isArray(value)) return undefined
  const parts = value.filter((one) => typeof one === 'string' || typeof one === 'number').map(String)
  return parts.join(',') || undefined
}

/** Values recur. Of one with a fault, which may be a credential, nothing is kept. */
const isFine = remembered((value) => faultOf(value) === undefined || undefined)

const credential =
  /^(?:bearer|basic)\s|^(?:sk|pk|rk|gsk|xai|hf|ghp|gho|ghs|glpat|pplx|nvapi|tvly|r8)[-_][\w-]{8,}|^(?:AKIA|ASIA)[0-9A-Z]{12}|^AIza[\w-]{20}|^xox[abprs]-|^ey[\w-]+\.ey[\w-]+\.|-----BEGIN/i

function faultOf(value: string): LabelFault | undefined {
  // What would have to be escaped to be shown is no text, nor are bytes that were none.
  if (!isPrintableLine(value) || value.includes('\ufffd')) return 'not_text'
  if (credential.test(value)) return 'credential'
  return value.length > labelValueCharsMax ? 'too_long' : undefined
}
