/** Runs a framer over a body that was cut in some way. */
import type { Framing } from '../../src/lib/exchange.ts'
import { createFramer } from '../../src/observe/frames/choose.ts'
import type { FramerOptions } from '../../src/observe/frames/framer.ts'

/** Event name and data as text. */
export type Seen = readonly [event: string | undefined, data: string]

export interface Result {
  readonly messages: readonly Seen[]
  readonly notes: readonly string[]
}

export type Settings = Pick<FramerOptions, 'messageBytesMax' | 'wantedKeys'>

export function run(framing: Framing, chunks: Iterable<Uint8Array>, settings: Settings = {}): Result {
  const messages: Seen[] = []
  const notes: string[] = []
  const framer = createFramer(framing, {
    ...settings,
    onMessage: ({ event, data }) => messages.push([event, data.toString()]),
    onNote: (note) => notes.push(note),
  })
  for (const chunk of chunks) framer.push(chunk)
  framer.end()
  return { messages, notes }
}

export function bytewise(body: Buffer): Buffer[] {
  return Array.from(body, (_, index) => body.subarray(index, index + 1))
}

export function pieces(body: Buffer, bytes: number): Buffer[] {
  return Array.from({ length: Math.ceil(body.length / bytes) }, (_, index) => body.subarray(index * bytes, (index + 1) * bytes))
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export function randomCuts(body: Buffer, random: () => number): Buffer[] {
  const longest = 1 + Math.floor(random() ** 2 * 200)
  const chunks: Buffer[] = []
  for (let at = 0; at < body.length; ) {
    const length = Math.floor(random() * (longest + 1))
    chunks.push(body.subarray(at, at + length))
    at += length
  }
  return chunks
}

/** Every way in which the suites cut a body: in one piece, at each byte into two, byte by byte, and at seeded random places. */
export function* everyCut(body: Buffer): Generator<{ readonly how: string; readonly chunks: readonly Buffer[] }> {
  yield { how: 'in one piece', chunks: [body] }
  for (let at = 0; at <= body.length; at++) yield { how: `cut at byte ${at}`, chunks: [body.subarray(0, at), body.subarray(at)] }
  yield { how: 'byte by byte', chunks: bytewise(body) }
  const random = seeded(body.length)
  for (let turn = 0; turn < 60; turn++) yield { how: `random cut ${turn}`, chunks: randomCuts(body, random) }
}

/** What must never be lost, said apart from the framer: a key before a value other than null, and [DONE]. */
export function isWanted([, data]: Seen, keys: readonly string[]): boolean {
  return data.startsWith('[DONE]') || keys.some((key) => new RegExp(`${JSON.stringify(key)}\\s*:\\s*(?!\\s|null)`).test(data))
}

export function isSubsequence(part: readonly Seen[], all: readonly Seen[]): boolean {
  let found = 0
  for (const message of all) if (found < part.length && JSON.stringify(message) === JSON.stringify(part[found])) found++
  return found === part.length
}
