/** Token counts, words and ids that look random and depend on the request alone: the same prompt gives the same answer, streamed or not. */

/** What one answer costs, in tokens. `input` includes the cached ones, `output` includes the reasoning. */
export interface Counts {
  readonly input: number
  readonly cacheRead: number
  readonly cacheWrite: number
  readonly output: number
  readonly reasoning: number
  /** The answer was cut off at the number of tokens asked for. */
  readonly limited: boolean
}

/** FNV-1a, 32 bits. */
export function seedOf(...parts: readonly string[]): number {
  let hash = 0x811c9dc5
  for (const character of parts.join('\n')) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193)
  return hash >>> 0
}

/** Mulberry32: numbers in [0, 1), the same for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Models that think before they answer. */
const reasoningModels = /^(.*\/)?(o\d|gpt-5|gemini-2\.5|deepseek-reasoner|deepseek-r)/

export function countsOf(model: string, prompt: string, maxTokens: number | undefined): Counts {
  const random = randomFrom(seedOf(model, prompt))
  const between = (from: number, to: number) => from + Math.floor(random() * (to - from))
  const input = Math.ceil(prompt.length / 4) + between(5, 40)
  const cacheRead = random() < 0.5 ? Math.floor(input * random() * 0.6) : 0
  const cacheWrite = random() < 0.5 ? Math.floor((input - cacheRead) * random() * 0.6) : 0
  const reasoning = reasoningModels.test(model) ? between(20, 200) : 0
  const wanted = reasoning + between(12, 90)
  const limited = maxTokens !== undefined && maxTokens < wanted
  const output = limited ? maxTokens : wanted
  return { input, cacheRead, cacheWrite, output, reasoning: Math.min(reasoning, output), limited }
}

const vocabulary =
  'the river carries more water than last year and every gate that we opened still counts what flows through it – naïve, café, 水, ½ – so nothing is lost'.split(
    ' ',
  )

/** Pieces of text as a model streams them: the first bare, the others with a space in front. About two tokens each, at most 30. */
export function wordsOf(model: string, prompt: string, counts: Counts): readonly string[] {
  const random = randomFrom(seedOf('words', model, prompt))
  const length = Math.max(1, Math.min(30, Math.ceil((counts.output - counts.reasoning) / 2)))
  return Array.from({ length }, (_, index) => `${index === 0 ? '' : ' '}${vocabulary[Math.floor(random() * vocabulary.length)]}`)
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** A provider's id: its prefix, and characters of its alphabet. */
export function idFrom(random: () => number, prefix: string, length: number, hexadecimal = false): string {
  const range = hexadecimal ? 16 : alphabet.length
  const from = hexadecimal ? '0123456789abcdef' : alphabet
  return prefix + Array.from({ length }, () => from[Math.floor(random() * range)]).join('')
}
