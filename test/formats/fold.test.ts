import { describe, expect, it } from 'vitest'
import { createFold, streamsArrays } from '../../src/observe/fold.ts'
import { hasFastProperties } from '../fuzz/memory.ts'
import { fixtures } from './fixtures/index.ts'

const bytes = (value: unknown) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))
const chunk = (fields: object = {}) => ({
  object: 'chat.completion.chunk',
  choices: [{ index: 0, delta: { content: 'a' }, finish_reason: null }],
  ...fields,
})

describe.each(
  fixtures.filter((fixture) => fixture.kind === 'stream').map((fixture) => [`${fixture.format}: ${fixture.title}`, fixture] as const),
)('the fold of %s', (_title, fixture) => {
  it('gives the facts of the format', () => {
    const fold = createFold(fixture.method ?? 'POST', fixture.path, fixture.headers ?? {})
    for (const message of fixture.messages) fold.message(message.event, bytes(message.data))
    expect([fold.format, fold.facts(), fold.notes]).toStrictEqual([fixture.format, fixture.facts, []])
  })
})

describe('a fold', () => {
  it('is no dictionary: there is one for every stream', () => {
    expect(hasFastProperties(createFold('POST', '/v1/messages', {}))).toBe(true)
  })

  it('names the format before the first message when only one is spoken at the path', () => {
    const fold = createFold('POST', '/v1/messages', {})
    expect([fold.format, fold.facts()]).toStrictEqual(['anthropic-messages', {}])
  })

  it('knows nothing at a path that no format claims', () => {
    const fold = createFold('POST', '/v1/anything', {})
    expect([fold.format, fold.facts(), fold.wantedKeys()]).toEqual([undefined, undefined, undefined])
  })

  it('recognises a format by shape at a path that none claims', () => {
    const fold = createFold('POST', '/serving/weir/invocations', {})
    fold.message(undefined, bytes({ unrelated: true }))
    fold.message(undefined, bytes(chunk({ id: 'c1', model: 'm', usage: { prompt_tokens: 3, completion_tokens: 1 } })))
    expect([fold.format, fold.facts()]).toStrictEqual(['openai-chat', { id: 'c1', model: 'm', usage: { inputTokens: 3, outputTokens: 1 } }])
  })

  it('does not guess at answers to other methods than POST', () => {
    const fold = createFold('GET', '/events', {})
    fold.message(undefined, bytes(chunk()))
    expect(fold.format).toBeUndefined()
  })

  it('stops looking for a format after 64 messages', () => {
    const fold = createFold('POST', '/events', {})
    for (let message = 0; message < 64; message++) fold.message(undefined, bytes({ tick: message }))
    fold.message(undefined, bytes(chunk()))
    expect(fold.format).toBeUndefined()
  })

  it('loses nothing while two formats are possible', () => {
    const fold = createFold('POST', '/v1/chat', {})
    fold.message(undefined, bytes({ id: 'w1', model: 'palmyra-weir', usage: { prompt_tokens: 4, completion_tokens: 1 } }))
    expect(fold.format).toBe('openai-chat')
    fold.message(undefined, bytes(chunk({ id: 'w1' })))
    expect([fold.format, fold.facts()]).toStrictEqual([
      'openai-chat',
      { id: 'w1', model: 'palmyra-weir', usage: { inputTokens: 4, outputTokens: 1 } },
    ])
  })

  it.each(['[DONE]', ' [DONE]\r', '   [DONE]  \t'])('ends with %j', (end) => {
    const fold = createFold('POST', '/v1/chat/completions', {})
    fold.message(undefined, bytes(chunk({ id: 'c1', model: 'm' })))
    fold.message(undefined, bytes(end))
    expect([fold.facts()?.finished, fold.notes]).toEqual([true, []])
  })

  it('begins with what the head says', () => {
    const fold = createFold('POST', '/model/weir/invoke', { 'x-amzn-bedrock-input-token-count': '7' })
    expect(fold.facts()).toStrictEqual({ usage: { inputTokens: 7 } })
  })

  it.each([
    ['/v1beta/models/weir:streamGenerateContent', true],
    ['/v1beta/models/weir:generateContent', false],
    ['/v1/chat/completions', false],
  ])('says whether an array at %s is sent element by element', (path, expected) => {
    expect(streamsArrays('POST', path)).toBe(expected)
  })

  it('wants every message until id and model are known', () => {
    const fold = createFold('POST', '/v1/chat/completions', {})
    expect(fold.wantedKeys()).toBeUndefined()
    fold.message(undefined, bytes(chunk({ id: 'c1', model: '' })))
    expect(fold.wantedKeys()).toBeUndefined()
    fold.message(undefined, bytes(chunk({ id: 'c1', model: 'm' })))
    expect(fold.wantedKeys()).toEqual(['usage', 'finish_reason', 'error', 'code', 'x_groq'])
  })

  it('stops waiting for an id after 16 messages', () => {
    const fold = createFold('POST', '/api/chat', {})
    for (let message = 0; message < 15; message++) fold.message(undefined, bytes({ model: 'm', created_at: 't', done: false }))
    expect(fold.wantedKeys()).toBeUndefined()
    fold.message(undefined, bytes({ model: 'm', done: false }))
    expect(fold.wantedKeys()).toContain('done_reason')
  })

  it.each(['[DONE]', ' [DONE]', '[DONE]\r'])('takes %j for the end', (text) => {
    const fold = createFold('POST', '/v1/chat/completions', {})
    fold.message(undefined, bytes(chunk({ id: 'c1' })))
    fold.message(undefined, bytes(text))
    expect([fold.facts(), fold.notes]).toStrictEqual([{ id: 'c1', finished: true }, []])
  })

  it('notes one parse error for any number of broken messages, and goes on', () => {
    const fold = createFold('POST', '/v1/chat/completions', {})
    for (const text of ['{"id": "c', 'no json', '{"id":"c1"}']) fold.message(undefined, bytes(text))
    expect([fold.facts(), fold.notes]).toStrictEqual([{ id: 'c1' }, ['parse_error']])
  })

  it('does not take plain text under an event name for broken JSON', () => {
    const fold = createFold('GET', '/v1/streams/weir', {})
    for (const text of ['', 'Sure', ', here']) fold.message('output', bytes(text))
    fold.message('done', bytes({}))
    expect([fold.facts(), fold.notes]).toStrictEqual([{ finished: true }, []])
  })

  it('reads a view into a larger buffer', () => {
    const padded = bytes(`xx${JSON.stringify(chunk({ id: 'ä1' }))}yy`)
    const fold = createFold('POST', '/v1/chat/completions', {})
    fold.message(undefined, padded.subarray(2, padded.length - 2))
    expect(fold.facts()).toStrictEqual({ id: 'ä1' })
  })
})
