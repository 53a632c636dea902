/** What an answer is before it is sent: a list of pieces, and what usage each of them tells. Formats write scripts; `play.ts` sends them. */
import type { Usage } from '../../src/lib/exchange.ts'
import { at, type Json, type JsonObject, number, string } from '../../src/lib/json.ts'
import { type Counts, countsOf, randomFrom, seedOf, wordsOf } from './numbers.ts'

export interface Piece {
  /** Bytes where the framing is none of text. */
  readonly text: string | Buffer
  /** What a reader knows of the usage after this piece, in the GenAI conventions' reading (input includes cached tokens). */
  readonly usage?: Usage | undefined
}

export interface Script {
  /** The answer's own id, as the provider calls it; `undefined` where its format has none. */
  readonly id: string | undefined
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly streamed: boolean
  /** Events of a stream, or the one body. */
  readonly pieces: readonly Piece[]
  /** The last piece reports an error in an answer that began with 200. */
  readonly failed?: boolean | undefined
  /** The connection breaks after this many pieces; a lone body breaks in its middle. */
  readonly cutAfter?: number | undefined
}

/** One request, understood as far as all formats have it in common. */
export interface Asked {
  readonly path: string
  readonly query: URLSearchParams
  readonly body: JsonObject
  readonly model: string
  readonly streamed: boolean
  readonly counts: Counts
  readonly words: readonly string[]
  /** For ids: different for each request. */
  readonly random: () => number
  /** Seconds since the epoch. */
  readonly now: number
  readonly behaviour: Behaviour
}

/** Models by whose name the gateway misbehaves; every other model is well. */
type Behaviour =
  /** `silent-1`: never says what it used. */
  | { readonly kind: 'silent' }
  /** `zero-1`: says that it used nothing. */
  | { readonly kind: 'zero' }
  /** `cut-1`: the connection breaks in the middle of the answer. */
  | { readonly kind: 'cut' }
  /** `broken-1`: an error event in a stream that began with 200; 500 when not streamed. */
  | { readonly kind: 'broken' }
  /** `strict-1`: an older server that answers 400 to `stream_options`. */
  | { readonly kind: 'strict' }
  /** `error-429` and the like: that status. */
  | { readonly kind: 'error'; readonly status: number }
  | { readonly kind: 'well' }

function behaviourOf(model: string): Behaviour {
  const name = model.slice(model.lastIndexOf('/') + 1)
  const status = Number(/^error-([45]\d\d)$/.exec(name)?.[1])
  if (status > 0) return { kind: 'error', status }
  const kind = /^(silent|zero|cut|broken|strict)-\d+$/.exec(name)?.[1]
  return { kind: (kind ?? 'well') as 'well' }
}

export interface Incoming {
  readonly path: string
  readonly query: URLSearchParams
  readonly body: JsonObject
  /** How many requests came before. */
  readonly index: number
  readonly now: number
}

/** Where a format keeps what every format has. */
export interface Places {
  readonly model: string | undefined
  readonly streamed: boolean
  readonly prompt: Json | undefined
  readonly maxTokens: Json | undefined
}

export function understand(incoming: Incoming, { model = 'unnamed', streamed, prompt, maxTokens }: Places): Asked {
  const text = JSON.stringify(prompt ?? '')
  const behaviour = behaviourOf(model)
  const counts = behaviour.kind === 'zero' ? nothing : countsOf(model, text, number(maxTokens))
  const words = wordsOf(model, text, counts)
  return { ...incoming, model, streamed, counts, words, behaviour, random: randomFrom(seedOf(model, text, String(incoming.index))) }
}

const nothing: Counts = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0, limited: false }

/** Whether the answer tells its usage at all. */
export function tellsUsage({ behaviour }: Asked): boolean {
  return behaviour.kind !== 'silent'
}

export function jsonScript(
  asked: Asked | undefined,
  id: string | undefined,
  body: Json,
  more: Partial<Script> & { usage?: Usage | undefined } = {},
): Script {
  const { usage, ...rest } = more
  return {
    id,
    status: 200,
    headers: { 'content-type': 'application/json' },
    streamed: false,
    pieces: [{ text: `${JSON.stringify(body)}\n`, usage }],
    cutAfter: asked?.behaviour.kind === 'cut' ? 0 : undefined,
    ...rest,
  }
}

/** A stream; one of a model that misbehaves is cut, or turns into `failure`, half-way. */
export function streamScript(
  asked: Asked,
  id: string | undefined,
  pieces: readonly Piece[],
  failure: readonly Piece[],
  headers: Readonly<Record<string, string>>,
): Script {
  const half = Math.ceil(pieces.length / 2)
  const { kind } = asked.behaviour
  return {
    id,
    status: 200,
    headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', ...headers },
    streamed: true,
    pieces: kind === 'broken' ? [...pieces.slice(0, half), ...failure] : pieces,
    failed: kind === 'broken',
    cutAfter: kind === 'cut' ? half : undefined,
  }
}

/** One server-sent event. */
export function sse(data: Json, event?: string): string {
  return `${event === undefined ? '' : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`
}

/** A text at a path of keys in a request, for formats to find their model with. */
export function textAt(body: JsonObject, ...keys: readonly string[]): string | undefined {
  return string(at(body, ...keys))
}
