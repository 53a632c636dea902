/** What every wire format promises, checked for each format with each of its fixtures. */
import { describe, expect, it } from 'vitest'
import type { ResponseFacts } from '../../src/lib/exchange.ts'
import type { Json } from '../../src/lib/json.ts'
import type { Format } from '../../src/observe/formats/format.ts'
import { formatNamed, formats, formatsFor } from '../../src/observe/formats/index.ts'
import { canSkim } from '../../src/observe/formats/learn.ts'
import { type Fixture, type FixtureMessage, fixtures } from './fixtures/index.ts'
import { randomJson, randomNumbers } from './random-json.ts'

/** Formats that have no streams, or no bodies, and why. */
const withoutStream: Readonly<Record<string, string>> = {
  'openai-embeddings': 'a vector is sent whole',
  'openai-videos': 'the answer is a job',
  'openai-moderations': 'the verdict is sent whole',
  'gemini-embed': 'a vector is sent whole',
  'vertex-predict': 'predictions are sent whole',
  'cohere-embed': 'a vector is sent whole',
  rerank: 'the ranking is sent whole',
  'watsonx-embeddings': 'a vector is sent whole',
  'mistral-ocr': 'the pages are sent whole',
  models: 'a list is sent whole',
  'count-tokens': 'a number is sent whole',
  'openai-other': 'no stream of the kind is known',
  'deepinfra-inference': 'its streams are in the shape of TGI',
}
const withoutBody: Readonly<Record<string, string>> = {
  'openai-realtime': 'a WebSocket has only messages',
  'gemini-live': 'a WebSocket has only messages',
  'bedrock-agent': 'an agent answers in events',
}

function formatOf(fixture: Fixture): Format {
  const format = formatNamed(fixture.format)
  if (format === undefined) throw new Error(`no format is named ${fixture.format}`)
  return format
}

function begin(fixture: Fixture): ResponseFacts {
  return formatOf(fixture).readHead?.({}, fixture.headers ?? {}) ?? {}
}

function fold(fixture: Fixture, messages: readonly FixtureMessage[], facts = begin(fixture)): ResponseFacts {
  const format = formatOf(fixture)
  return messages.reduce((known, message) => format.readResponse(deepFrozen(known), deepFrozen(message.data), message.event), facts)
}

function deepFrozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const inner of Object.values(value)) deepFrozen(inner)
  }
  return value
}

/** Whether one of the keys stands somewhere in the message with a value other than null. */
function holds(value: Json | undefined, keys: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(([key, inner]) => (keys.includes(key) && inner !== null) || holds(inner as Json, keys))
}

/** The messages that are left when the rest is skimmed from the moment at which id and model are known, or after sixteen. */
function skimmed(fixture: Fixture): readonly FixtureMessage[] {
  const { wantedKeys } = formatOf(fixture)
  let facts = begin(fixture)
  return fixture.messages.filter((message, index) => {
    const isSkimming = wantedKeys !== undefined && (canSkim(facts) || index >= 16)
    if (isSkimming && !holds(message.data, wantedKeys)) return false
    facts = fold(fixture, [message], facts)
    return true
  })
}

const countKeys = /usage|token|eval_count|metrics|billed_units|statistics|generation_token|TextToken|input_length/i

/** Every number below a key that counts, replaced; also in what Bedrock wraps. */
function withCounts(value: Json, to: 0 | null, counts = false): Json {
  if (typeof value === 'number') return counts ? to : value
  // Some write their counts as texts.
  if (typeof value === 'string') return counts && /^\d+$/.test(value) ? (to === 0 ? '0' : null) : value
  if (Array.isArray(value)) return value.map((item) => withCounts(item, to, counts))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (key === 'bytes' && typeof inner === 'string') return [key, btoa(JSON.stringify(withCounts(JSON.parse(atob(inner)), to)))]
      return [key, withCounts(inner as Json, to, counts || countKeys.test(key))]
    }),
  )
}

function withoutCounts(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutCounts)
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(([key]) => !countKeys.test(key))
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutCounts(inner as Json)]))
}

describe.each(formats.map((format) => [format.name, format] as const))('%s', (name, format) => {
  const own = fixtures.filter((fixture) => fixture.format === name)

  it('has a stream and a body to show, or a reason why not', () => {
    const missing = (['stream', 'body'] as const).filter((kind) => !own.some((fixture) => fixture.kind === kind))
    expect(missing).toEqual([...(name in withoutStream ? ['stream'] : []), ...(name in withoutBody ? ['body'] : [])])
  })

  it('never throws on JSON of any kind, and keeps its facts when nothing is learnt', () => {
    const random = randomNumbers(format.name)
    for (let round = 0; round < 200; round++) {
      const json = randomJson(random)
      const facts = format.readResponse({}, json, random() < 0.3 ? 'error' : undefined)
      expect(format.readResponse(facts, json, undefined)).toBeTypeOf('object')
      expect(format.recognises(json, undefined)).toBeTypeOf('boolean')
      expect(format.readRequest(json, '/v1/any%zz/path').operation).toBeTypeOf('string')
    }
    const facts = deepFrozen({ id: 'known' })
    for (const nothing of [null, {}, [], 'text', 7, true, { unrelated: 1 }])
      expect(format.readResponse(facts, nothing, undefined)).toBe(facts)
  })

  it('reads a request without a body', () => {
    expect(format.readRequest(undefined, '/').operation).toBeTypeOf('string')
  })
})

describe.each(fixtures.map((fixture) => [`${fixture.format}: ${fixture.title}`, fixture] as const))('%s', (_title, fixture) => {
  const format = formatOf(fixture)
  const method = fixture.method ?? 'POST'
  /** The facts of the same messages with other counts, and without those of the head. */
  const foldWith = (count: 0 | null): ResponseFacts => {
    const changed = fixture.messages.map((message) => ({ ...message, data: withCounts(message.data, count) }))
    return fold(fixture, changed, {})
  }

  it('is claimed at its path, and recognised among those that claim it', () => {
    const candidates = formatsFor(method, fixture.path)
    expect(candidates).toContain(format)
    if (candidates.length === 1) return
    const recognised = fixture.messages.flatMap((message) => candidates.find((one) => one.recognises(message.data, message.event)) ?? [])
    expect(recognised[0]?.name ?? candidates[0]?.name).toBe(fixture.format)
  })

  it('recognises one of its messages by shape', () => {
    const telling = fixture.messages.some((message) => format.recognises(message.data, message.event))
    expect(telling).toBe(fixture.shapeless === undefined)
  })

  it('reads its request', () => {
    expect(format.readRequest(fixture.request, fixture.path)).toStrictEqual(fixture.requestFacts)
  })

  it('reads its response', () => {
    expect(fold(fixture, fixture.messages)).toStrictEqual(fixture.facts)
  })

  it('loses nothing by skimming', () => {
    expect(fold(fixture, skimmed(fixture))).toStrictEqual(fixture.facts)
  })

  it('reports counts as soon as they are read, and never takes one back', () => {
    // What the head says may be replaced by what the body says; from there on counts stay.
    let facts = fold(fixture, fixture.messages.slice(0, 1))
    for (const message of fixture.messages.slice(1)) {
      const next = fold(fixture, [message], facts)
      for (const key of Object.keys(facts.usage ?? {})) expect(next.usage).toHaveProperty(key)
      facts = next
    }
    expect(facts).toStrictEqual(fixture.facts)
  })

  it('learns nothing from the same last message again', () => {
    const last = fixture.messages.at(-1) as FixtureMessage
    const whole = fold(fixture, fixture.messages)
    expect(format.readResponse(whole, last.data, last.event)).toBe(whole)
  })

  it('knows no usage when none is reported', () => {
    if (fixture.messages[0]?.event === 'chunk') return
    const stripped = fixture.messages.map((message) => ({ ...message, data: withoutCounts(message.data) }))
    const facts = stripped.reduce<ResponseFacts>((known, message) => format.readResponse(known, message.data, message.event), {})
    expect(facts.usage).toBeUndefined()
    expect(facts.usageNotUnderstood).toBeUndefined()
  })

  it('knows no usage when every count is null, and understands that', () => {
    const facts = foldWith(null)
    expect({ usage: facts.usage, notUnderstood: facts.usageNotUnderstood }).toEqual({ usage: undefined, notUnderstood: undefined })
  })

  it('knows zeros when every count is 0, and no count more than without', () => {
    const { usage } = fold(fixture, fixture.messages, {})
    const zeros = foldWith(0).usage
    if (usage === undefined) return expect(zeros).toBeUndefined()
    for (const count of Object.values(zeros ?? {})) expect(count).toBe(0)
    for (const name of Object.keys(zeros ?? {})) expect(usage).toHaveProperty(name)
    expect(zeros).toHaveProperty(usage.inputTokens === undefined ? 'outputTokens' : 'inputTokens', 0)
  })

  it('keeps subsets within their wholes', () => {
    const { usage } = fold(fixture, fixture.messages)
    const input = usage?.inputTokens ?? Number.POSITIVE_INFINITY
    expect((usage?.cacheReadTokens ?? 0) + (usage?.cacheWriteTokens ?? 0)).toBeLessThanOrEqual(input)
    expect(usage?.reasoningTokens ?? 0).toBeLessThanOrEqual(usage?.outputTokens ?? Number.POSITIVE_INFINITY)
  })
})
