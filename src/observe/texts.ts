/**
 * The text of requests and answers, whatever their wire format: the strings under the keys in which providers put what a model reads or
 * writes. Pure. Of a text only its length and its beginning are kept.
 */
import type { TextSample } from '../lib/exchange.ts'
import { array, type Json, object, string } from '../lib/json.ts'

/**
 * A tokenizer's time can grow with the square of a word's length: 2048 characters take 1 ms of prose, and 50 ms of the worst text tried
 * (Japanese without a space).
 */
const beginningCharactersMax = 2048

export interface TextCollector {
  add(text: string): void
  /** Undefined while there was no text. */
  sample(): TextSample | undefined
}

export function createTextCollector(): TextCollector {
  let characters = 0
  let beginning = ''
  return {
    add(text) {
      characters += text.length
      const room = beginningCharactersMax - beginning.length
      if (room > 0) beginning += text.slice(0, room)
    },
    sample: () => (characters === 0 ? undefined : { characters, beginning }),
  }
}

/** What a model writes, and how the formats call it. */
const written: ReadonlySet<string> = new Set([
  'arguments',
  'completion',
  'content',
  'delta',
  'generated_text',
  'generation',
  'input',
  'outputText',
  'partial_json',
  'reasoning',
  'reasoning_content',
  'refusal',
  'response',
  'text',
  'thinking',
])

/** What stands around it. A `response`, an `item` or a `part` within an event repeats what the deltas said. */
const aroundWritten: ReadonlySet<string> = new Set([
  'candidates',
  'choices',
  'content',
  'contentBlockDelta',
  'delta',
  'function',
  'generations',
  'message',
  'output',
  'outputs',
  'parts',
  'results',
  'tool_calls',
])

/** What a model is given to read. */
const read: ReadonlySet<string> = new Set([
  ...written,
  'contents',
  'description',
  'inputText',
  'instructions',
  'prompt',
  'query',
  'system',
  'texts',
])

const aroundRead: ReadonlySet<string> = new Set([
  ...aroundWritten,
  'contents',
  'documents',
  'functionDeclarations',
  'input',
  'instances',
  'messages',
  'system',
  'systemInstruction',
  'system_instruction',
  'tools',
])

const depthMax = 12

/** The text of an answer, or of one message of a stream. Events that close a part repeat it whole, and add nothing. */
export function addWritten(collector: TextCollector, message: Json): void {
  if (/\.(done|added|completed)$/.test(string(object(message)?.['type']) ?? '')) return
  collect(collector, message, written, aroundWritten, 0)
}

/** The text of a request: prompt, conversation, descriptions of tools. */
export function addRead(collector: TextCollector, body: Json): void {
  collect(collector, body, read, aroundRead, 0)
}

function collect(collector: TextCollector, json: Json, texts: ReadonlySet<string>, around: ReadonlySet<string>, depth: number): void {
  if (depth > depthMax) return
  for (const one of array(json) ?? []) {
    if (typeof one === 'object') collect(collector, one, texts, around, depth + 1)
  }
  const fields = object(json)
  if (fields === undefined) return
  for (const [key, value] of Object.entries(fields)) {
    if (typeof value === 'string') {
      if (texts.has(key)) collector.add(value)
    } else if (typeof value === 'object' && value !== null) {
      if (around.has(key)) collect(collector, value, texts, around, depth + 1)
      // A list of plain texts: prompts, inputs to embed.
      if (Array.isArray(value) && texts.has(key)) for (const one of value) if (typeof one === 'string') collector.add(one)
    }
  }
}
