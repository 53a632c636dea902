/** The time of an output token, and when there is none to tell. */
import { describe, expect, it } from 'vitest'
import type { Ending, ResponseFacts, Usage } from '../../src/lib/exchange.ts'
import { concluded, streamed } from './exchanges.ts'

const whole: Ending['outcome'] = { kind: 'answered' }

interface Case {
  readonly usage?: Usage
  readonly facts?: ResponseFacts
  readonly ending?: Partial<Ending>
  readonly request?: unknown
}

function each({ usage = { inputTokens: 5, outputTokens: 101 }, facts = {}, ending = {}, request }: Case = {}): number | undefined {
  const response = { id: 'x', model: 'm', finishReasons: ['stop'], finished: true, usage, ...facts }
  const given = {
    outcome: whole,
    firstChunkMs: 100,
    firstToken: { ms: 200, of: 'answer' },
    lastChunkMs: 1200,
    chunkCount: 103,
    ...ending,
  } as const
  return concluded({ request: request ?? { model: 'm', stream: true }, ending: streamed(response, given) }).timePerOutputTokenMs
}

describe('the time of an output token', () => {
  it('is from the first token to the last, over the tokens after the first', () => {
    expect(each()).toBe(10)
  })

  it('leaves out reasoning that the stream did not show', () => {
    expect(each({ usage: { outputTokens: 1101, reasoningTokens: 1000 } })).toBe(10)
  })

  it('has reasoning in it where the stream began with it', () => {
    const usage = { outputTokens: 1001, reasoningTokens: 900 }
    expect(each({ usage, ending: { firstToken: { ms: 200, of: 'reasoning' } } })).toBe(1)
  })

  it('is known of a client that closed once it had the end', () => {
    expect(each({ ending: { outcome: { kind: 'client-aborted' } } })).toBe(10)
  })

  it('is known of a short answer that came token by token', () => {
    expect(each({ usage: { outputTokens: 5 }, ending: { chunkCount: 7 } })).toBe(250)
  })

  it.each<[string, Case]>([
    ['no token was recognised', { ending: { firstToken: undefined } }],
    ['no usage', { facts: { usage: undefined } }],
    ['no count of the output', { usage: { inputTokens: 5 } }],
    ['one token', { usage: { outputTokens: 1 } }],
    ['nothing but reasoning', { usage: { outputTokens: 50, reasoningTokens: 50 } }],
    [
      'a cut answer, whose count is not that of what came',
      { facts: { finished: false }, ending: { outcome: { kind: 'upstream-aborted' } } },
    ],
    ['a client that left', { facts: { finished: undefined }, ending: { outcome: { kind: 'client-aborted' } } }],
    ['an error in the stream', { facts: { error: { type: 'overloaded' } } }],
    ['several choices at once', { request: { model: 'm', stream: true, n: 2 } }],
    ['counts that contradict each other', { usage: { outputTokens: 101, inputTokens: 5, totalTokens: 50 } }],
    ['tokens of sound', { usage: { outputTokens: 101, outputAudioTokens: 60 } }],
    ['a second count of several goes', { facts: { usageOfIterations: { outputTokens: 500 } } }],
    ['one chunk with everything', { ending: { lastChunkMs: 200, chunkCount: 1 } }],
    ['few chunks with many tokens each', { ending: { chunkCount: 4 } }],
    ['an answer out of a cache, all at once', { ending: { lastChunkMs: 201 } }],
  ])('is not known: %s', (_, given) => {
    expect(each(given)).toBeUndefined()
  })
})
