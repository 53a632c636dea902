/**
 * Any usage in any shape: the words that APIs count tokens by, in snake, camel or Pascal case, with counts as numbers or as texts. Read where
 * no format of its own reads. Only objects under the names that usage stands under are looked into: never a text, never a list, so that a
 * body that talks about tokens (a prompt, a tool's arguments) says nothing.
 */
import type { Usage } from '../../lib/exchange.ts'
import { count, type Json, type JsonObject, object, text } from '../../lib/json.ts'

type Part = 'input' | 'output' | 'cacheRead' | 'cacheWrite' | 'reasoning' | 'total'

/** What each word says of a count's name. Every word must be known: `max_tokens`, `tokens_per_second`, `prompt_price` are no counts. */
const words: Readonly<Record<string, Part | 'write' | 'token' | 'filler' | 'text'>> = {
  prompt: 'input',
  prompts: 'input',
  input: 'input',
  inputs: 'input',
  query: 'input',
  request: 'input',
  evaluated: 'input',
  in: 'input',
  completion: 'output',
  completions: 'output',
  output: 'output',
  outputs: 'output',
  generated: 'output',
  generation: 'output',
  predicted: 'output',
  response: 'output',
  candidates: 'output',
  answer: 'output',
  out: 'output',
  cache: 'cacheRead',
  cached: 'cacheRead',
  hit: 'cacheRead',
  creation: 'write',
  write: 'write',
  written: 'write',
  reasoning: 'reasoning',
  thinking: 'reasoning',
  thoughts: 'reasoning',
  thought: 'reasoning',
  total: 'total',
  token: 'token',
  tokens: 'token',
  num: 'filler',
  n: 'filler',
  count: 'filler',
  counts: 'filler',
  number: 'filler',
  of: 'filler',
  used: 'filler',
  usage: 'filler',
  read: 'filler',
  consumed: 'filler',
  content: 'filler',
  text: 'text',
}

/** Objects in which an object of counts may stand, and which may be one. */
const holders =
  /^(usage|.*_usage|usage_.*|result|response|output|data|message|chunk|body|meta|meta_info|.*metadata|details|stats|statistics|metrics|inference_status|payload|event|chat|answer|completion|tokens|token_counts?|billed_units|info|generation_info|llm_output|additional_kwargs|extra|final|summary)$/

/** Under these names a count needs no `token` in its own. */
const countsTokens = /usage|token/
const detailNames = /_details?$/
const depthMax = 5
/** Objects with more keys hold no usage. */
const keysMax = 64

/** `PromptTokens`, `promptTokens`, `prompt-tokens` → `prompt_tokens`. */
function snake(key: string): string {
  return key
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[-. ]/g, '_')
    .toLowerCase()
}

/** Names repeat. So many are remembered before all are forgotten. */
const namesMax = 1024
const known = new Map<string, Part | undefined>()

/** Names that have none of the words. */
const ollamaCounts: Readonly<Record<string, Part | undefined>> = { prompt_eval_count: 'input', eval_count: 'output' }

/** What a count of this name counts; undefined for every other name. */
function partOf(name: string, isAmongCounts: boolean): Part | undefined {
  const key = isAmongCounts ? `${name} ` : name
  if (known.has(key)) return known.get(key)
  const part = ollamaCounts[name] ?? partOfWords(name.split('_'), isAmongCounts)
  if (known.size >= namesMax) known.clear()
  known.set(key, part)
  return part
}

function partOfWords(named: readonly string[], isAmongCounts: boolean): Part | undefined {
  const kinds = named.map((word) => (Object.hasOwn(words, word) ? words[word] : undefined))
  if (kinds.includes(undefined) || !(isAmongCounts || kinds.includes('token') || kinds.includes('text'))) return undefined
  const has = (kind: (typeof kinds)[number]) => kinds.includes(kind)
  if (has('cacheRead')) return has('write') ? 'cacheWrite' : 'cacheRead'
  if (has('reasoning')) return 'reasoning'
  if (has('input') !== has('output')) return has('input') ? 'input' : 'output'
  if (has('input')) return undefined
  return has('total') || (has('token') && named.every((word) => words[word] === 'token' || words[word] === 'filler')) ? 'total' : undefined
}

/** A count, also as a text of digits. */
function counted(value: Json | undefined): number | undefined {
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : count(value)
}

type Counts = { [K in Part]?: number }

/** The counts of one object and of its details; the first of a kind stands, but no 0 over a number. */
function countsOf(fields: JsonObject, isAmongCounts: boolean): Counts {
  const counts: Counts = {}
  const add = (from: JsonObject, named: (part: Part) => boolean) => {
    for (const [key, value] of Object.entries(from)) {
      const part = partOf(snake(key), isAmongCounts)
      const said = part !== undefined && named(part) ? counted(value) : undefined
      if (part !== undefined && said !== undefined && !counts[part]) counts[part] = said
    }
  }
  add(fields, () => true)
  for (const [key, value] of Object.entries(fields)) {
    const details = detailNames.test(snake(key)) ? object(value) : undefined
    if (details !== undefined) add(details, (part) => part !== 'input' && part !== 'output' && part !== 'total')
  }
  return counts
}

/** `inputTokens: {total, cacheRead, …}`, as the AI SDK has it. */
function nested(fields: JsonObject): JsonObject {
  const flat: Record<string, Json | undefined> = { ...fields }
  for (const [key, value] of Object.entries(fields)) {
    const inner = partOf(snake(key), true) === undefined ? undefined : object(value)
    if (inner === undefined) continue
    flat[key] = inner['total']
    for (const name of ['cacheRead', 'cacheWrite', 'reasoning']) if (inner[name] !== undefined) flat[`${name}Tokens`] = inner[name]
  }
  return flat
}

export interface FoundUsage {
  /** Undefined when the object says nothing but a total. */
  readonly usage: Usage | undefined
  /** The object that holds the counts. */
  readonly raw: JsonObject
}

/** The usage object of a message or whole body, wherever it stands; the last one of several on the same level. */
export function findUsage(json: Json | undefined): FoundUsage | undefined {
  const root = object(json)
  return root === undefined || root['jsonrpc'] !== undefined ? undefined : find(root, '', depthMax)
}

function find(fields: JsonObject, name: string, depth: number): FoundUsage | undefined {
  const entries = Object.entries(fields)
  if (entries.length > keysMax || isOfTool(fields)) return undefined
  const own = ownUsage(fields, name)
  if (own?.usage !== undefined || depth === 0) return own
  let found: FoundUsage | undefined
  for (const [key, value] of entries) {
    const inner = object(value)
    const innerName = snake(key)
    if (inner === undefined || !holders.test(innerName)) continue
    const next = find(inner, innerName, depth - 1)
    if (next?.usage !== undefined || found === undefined) found = next ?? found
  }
  return found ?? own
}

/** What a tool was given or has answered: anything may stand in it. */
function isOfTool(fields: JsonObject): boolean {
  return /tool|function/i.test(text(fields['type']) ?? text(fields['role']) ?? '') || 'tool_call_id' in fields || 'toolCallId' in fields
}

/**
 * An object of that name, as counts. Outside an object that is named after usage or tokens, input alone is what a request for a count of
 * tokens is answered with, and a total alone says nothing.
 */
function ownUsage(fields: JsonObject, name: string): FoundUsage | undefined {
  const isAmongCounts = countsTokens.test(name)
  const { input, output, cacheRead, cacheWrite, reasoning, total } = countsOf(nested(fields), isAmongCounts)
  if (!isAmongCounts && output === undefined) return undefined
  if (input === undefined && output === undefined) return total === undefined ? undefined : { usage: undefined, raw: fields }
  const cached = (cacheRead ?? 0) + (cacheWrite ?? 0)
  const isBeside = total !== undefined && reasoning !== undefined && total === (input ?? 0) + (output ?? 0) + reasoning
  const counts: Usage = {
    // More cached than read: the cache is counted beside the input, as Anthropic has it.
    inputTokens: input === undefined || cached <= input ? input : input + cached,
    // Gemini counts what was thought beside what was written.
    outputTokens: output !== undefined && isBeside ? output + reasoning : output,
    cacheReadTokens: cacheRead,
    cacheWriteTokens: cacheWrite,
    reasoningTokens: reasoning,
    totalTokens: total,
  }
  const usage = Object.fromEntries(Object.entries(counts).filter(([, value]) => Number.isSafeInteger(value))) as Usage
  return { usage, raw: fields }
}

/** Whether the text of a message can hold usage at all: looked for before anything is parsed. */
export function mayHoldUsage(text: string): boolean {
  return /usage|tokens?["_A-Z]|_count"/i.test(text)
}
