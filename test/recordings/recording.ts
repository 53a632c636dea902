/** One exchange as it stands on the wire: what a replaying upstream sends, and what a careful reader gets out of it. */
import type { Framing, ResponseFacts } from '../../src/lib/exchange.ts'
import { type Fixture, type FixtureMessage, fixtures } from '../formats/fixtures/index.ts'
import { event as eventstreamEvent } from '../frames/encode.ts'

export interface Recording {
  readonly name: string
  readonly method: string
  /** With the query, as the client sends it. */
  readonly path: string
  /** The upstream's, where the recording tells. */
  readonly host?: string | undefined
  readonly requestHeaders: Readonly<Record<string, string>>
  readonly requestBody: Buffer
  readonly status: number
  /** Lower-case names; without hop-by-hop fields and lengths. */
  readonly responseHeaders: Readonly<Record<string, string>>
  readonly framing: Framing
  /** Not compressed, whatever the recorded answer was. */
  readonly body: Buffer
  /** Known for the project's own fixtures. */
  readonly expected?: { readonly format: string; readonly facts: ResponseFacts } | undefined
}

type StreamFraming = 'sse' | 'ndjson' | 'json-array' | 'eventstream'

/** Formats that are streamed in something else than server-sent events; Gemini in two ways. */
const framingsOf: Readonly<Record<string, readonly StreamFraming[]>> = {
  ollama: ['ndjson'],
  'cohere-chat-v1': ['ndjson'],
  'cohere-generate': ['ndjson'],
  gemini: ['json-array', 'sse'],
  'bedrock-converse': ['eventstream'],
  'bedrock-invoke': ['eventstream'],
  'bedrock-agent': ['eventstream'],
}

const contentTypes: Readonly<Record<StreamFraming, string>> = {
  sse: 'text/event-stream; charset=utf-8',
  ndjson: 'application/x-ndjson',
  'json-array': 'application/json; charset=UTF-8',
  eventstream: 'application/vnd.amazon.eventstream',
}

/** Formats whose streams end with `data: [DONE]`. */
const endWithDone: ReadonlySet<string> = new Set(['openai-chat', 'openai-completions', 'openai-assistants'])

/** The formats of which no HTTP body exists. */
const notOverHttp: ReadonlySet<string> = new Set(['openai-realtime', 'gemini-live'])

/** Every fixture of the formats that travels over HTTP, in each framing that it travels in. */
export function ownRecordings(of: readonly Fixture[] = fixtures): readonly Recording[] {
  return of.filter(({ format }) => !notOverHttp.has(format)).flatMap(recordingsOf)
}

function recordingsOf(fixture: Fixture): readonly Recording[] {
  const name = `${fixture.format}: ${fixture.title}`
  const common = {
    method: fixture.method ?? 'POST',
    path: fixture.path,
    requestHeaders: { 'content-type': 'application/json' } as Record<string, string>,
    requestBody: Buffer.from(fixture.request === undefined ? '' : JSON.stringify(fixture.request)),
    status: 200,
    // No record names what is no inference.
    expected: fixture.format === 'json-rpc' ? undefined : { format: fixture.format, facts: fixture.facts },
  }
  if (fixture.kind === 'body') {
    const body = Buffer.from(JSON.stringify(fixture.messages[0]?.data))
    return [{ ...common, name, responseHeaders: { 'content-type': 'application/json', ...fixture.headers }, framing: 'whole', body }]
  }
  const framings = framingsOf[fixture.format] ?? ['sse']
  return framings.map((framing) => ({
    ...common,
    name: framings.length > 1 ? `${name} (${framing})` : name,
    path: fixture.format === 'gemini' && framing === 'sse' ? `${fixture.path}?alt=sse` : fixture.path,
    responseHeaders: { 'content-type': contentTypes[framing], ...fixture.headers },
    framing,
    body: streamOf(framing, fixture),
  }))
}

function streamOf(framing: StreamFraming, { messages, format, facts }: Fixture): Buffer {
  const text = ({ data }: FixtureMessage) => JSON.stringify(data)
  switch (framing) {
    case 'sse': {
      const done = endWithDone.has(format) && facts.finished === true ? 'data: [DONE]\n\n' : ''
      const events = messages.map((one) => `${one.event === undefined ? '' : `event: ${one.event}\n`}data: ${text(one)}\n\n`)
      return Buffer.from(events.join('') + done)
    }
    case 'ndjson':
      return Buffer.from(messages.map((one) => `${text(one)}\n`).join(''))
    case 'json-array':
      return Buffer.from(`[${messages.map(text).join('\n,\r\n')}\n]`)
    case 'eventstream':
      return Buffer.concat(messages.map((one) => eventstreamEvent(one.event ?? '', text(one))))
  }
}
