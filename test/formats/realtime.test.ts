import { describe, expect, it } from 'vitest'
import type { RequestFacts, ResponseFacts } from '../../src/lib/exchange.ts'
import type { Json } from '../../src/lib/json.ts'
import { createFold } from '../../src/observe/fold.ts'
import { openaiRealtime } from '../../src/observe/formats/openai-realtime.ts'

const fold = (messages: readonly Json[], facts: ResponseFacts = {}) =>
  messages.reduce<ResponseFacts>((known, message) => openaiRealtime.readResponse(known, message, undefined), facts)
const begun = (id: string) => ({ type: 'response.created', response: { id, status: 'in_progress' } })
const done = (id: string, output: number, more: object = {}) => ({
  type: 'response.done',
  response: { id, status: 'completed', usage: { input_tokens: 10, output_tokens: output }, ...more },
})

describe('the responses of a connection', () => {
  it('count once, also when a gateway tells their end twice', () => {
    const completed = { ...done('r1', 3), type: 'response.completed' }
    expect(fold([begun('r1'), done('r1', 3), completed, begun('r2'), done('r2', 4)])).toStrictEqual({
      finished: true,
      id: 'r1',
      finishReasons: ['completed'],
      usage: { inputTokens: 20, outputTokens: 7 },
      responses: {
        ended: 2,
        underWay: 0,
        last: [
          { id: 'r1', finishReason: 'completed', usage: { inputTokens: 10, outputTokens: 3 } },
          { id: 'r2', finishReason: 'completed', usage: { inputTokens: 10, outputTokens: 4 } },
        ],
      },
    })
  })

  it('are joined by the transcripts of what was heard, each once, billed by tokens or not at all', () => {
    const heard = (item_id: string, usage: Json): Json => ({
      type: 'conversation.item.input_audio_transcription.completed',
      item_id,
      content_index: 0,
      transcript: 'a',
      usage,
    })
    const tokens = { type: 'tokens', input_tokens: 29, output_tokens: 14, total_tokens: 43 }
    const facts = fold([
      begun('r1'),
      heard('i1', tokens),
      heard('i1', tokens),
      heard('i2', { type: 'duration', seconds: 3 }),
      done('r1', 3),
    ])
    expect([facts.usage, facts.responses?.ended, facts.finished]).toEqual([{ inputTokens: 39, outputTokens: 17, totalTokens: 43 }, 2, true])
    expect(fold([begun('r1'), heard('i1', tokens)]).finished).toBe(false)
    expect(fold([heard('i2', { type: 'duration', seconds: 3 })])).toEqual({})
  })

  it('may run side by side: the connection is finished when none is under way', () => {
    const finished = [begun('r1'), begun('r2'), done('r1', 1), done('r2', 1)].map((_, index, all) => fold(all.slice(0, index + 1)).finished)
    expect(finished).toEqual([false, false, false, true])
  })

  it('are all counted and the last 128 remembered, however many there are', () => {
    let facts: ResponseFacts = {}
    for (let n = 0; n < 1000; n++) facts = fold([begun(`r${n}`), done(`r${n}`, 2)], facts)
    expect([facts.usage, facts.responses?.ended, facts.responses?.last.length]).toEqual([
      { inputTokens: 10_000, outputTokens: 2000 },
      1000,
      128,
    ])
    expect([facts.responses?.last[0]?.id, facts.responses?.last[127]?.id]).toEqual(['r872', 'r999'])
  })

  it('keep an error that nothing came after, and forget one that the connection got over', () => {
    const error = { type: 'error', error: { type: 'invalid_request_error', code: 'response_cancel_not_active', message: 'No.' } }
    expect(fold([begun('r1'), error]).error).toEqual({ type: 'invalid_request_error', message: 'No.' })
    expect(fold([begun('r1'), error, done('r1', 1)])).not.toHaveProperty('error')
    expect(fold([begun('r1'), done('r1', 1), error]).error?.type).toBe('invalid_request_error')
  })

  it('that fail say why', () => {
    const details = { type: 'failed', error: { type: 'server_error', code: 'overloaded' } }
    const realtime = fold([begun('r1'), done('r1', 1, { status: 'failed', status_details: details })])
    expect([realtime.error, realtime.finishReasons]).toEqual([{ type: 'server_error' }, ['failed']])
    const response = { id: 'r1', status: 'failed', error: { code: 'server_error', message: 'Oh.' }, usage: null }
    const overSocket = fold([begun('r1'), { type: 'response.failed', response }])
    expect([overSocket.error, overSocket.usage, overSocket.usageNotUnderstood]).toEqual([
      { type: 'server_error', message: 'Oh.' },
      undefined,
      undefined,
    ])
  })

  it('that are incomplete say why', () => {
    const incomplete = {
      type: 'response.incomplete',
      response: { id: 'r', status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } },
    }
    expect(fold([incomplete]).finishReasons).toEqual(['max_output_tokens'])
  })

  it('whose usage cannot be read are noted', () => {
    expect(fold([done('r1', 1), { type: 'response.done', response: { id: 'r2', usage: { tokens: 'many' } } }])).toMatchObject({
      usage: { inputTokens: 10, outputTokens: 1 },
      usageNotUnderstood: true,
    })
  })
})

describe('what is asked for on a connection', () => {
  const bytes = (message: Json) => new TextEncoder().encode(JSON.stringify(message))
  const asked = (
    path: string,
    queryModel: string | undefined,
    ...messages: readonly ['client' | 'upstream', Json][]
  ): RequestFacts | undefined => {
    const one = createFold('GET', path, {}, queryModel)
    for (const [from, message] of messages) {
      if (from === 'client') one.sent(bytes(message))
      else one.message(undefined, bytes(message))
    }
    return one.request()
  }
  const realtime = { operation: 'chat', usageExpected: true, stream: true, openaiApiType: 'realtime' }
  const created: ['upstream', Json] = ['upstream', { type: 'session.created', session: { id: 's', model: 'gpt-realtime-2026' } }]

  it('is nothing before a message came', () => {
    expect(asked('/v1/realtime', 'm')).toBeUndefined()
  })

  it('is the model of the query, before the one that the upstream took it for', () => {
    expect(asked('/v1/realtime', 'gpt-realtime', created)).toStrictEqual({ ...realtime, model: 'gpt-realtime' })
    expect(asked('/v1/realtime', undefined, created)).toStrictEqual({ ...realtime, model: 'gpt-realtime-2026' })
  })

  it('is what session.update and response.create say, the last word first', () => {
    const update = { type: 'session.update', session: { model: 'gpt-realtime-mini', temperature: 0.8, modalities: ['text', 'audio'] } }
    const create = { type: 'response.create', response: { max_output_tokens: 200, temperature: 0.6 } }
    expect(asked('/v1/realtime', 'gpt-realtime', created, ['client', update], ['client', create])).toStrictEqual({
      ...realtime,
      ...{ model: 'gpt-realtime-mini', temperature: 0.6, outputType: 'speech', maxTokens: 200 },
    })
  })

  it('stands beside the type for Responses, as in a POST', () => {
    const create = {
      ...{ type: 'response.create', model: 'gpt-5', input: 'Hi', max_output_tokens: 9, service_tier: 'flex', stream: false },
      ...{ text: { format: { type: 'json_schema' } }, conversation: { id: 'conv_1' } },
    }
    expect(asked('/openai/v1/responses', undefined, ['client', create])).toStrictEqual({
      ...{ operation: 'chat', usageExpected: true, stream: true, openaiApiType: 'responses', model: 'gpt-5', maxTokens: 9 },
      ...{ serviceTier: 'flex', outputType: 'json', conversationId: 'conv_1' },
    })
  })

  it('is not taken from other messages, from what is no JSON, or from names as long as books', () => {
    const one = createFold('GET', '/v1/realtime', {})
    one.sent(new TextEncoder().encode('{"session"'))
    expect(one.request()).toBeUndefined()
    const append = { type: 'input_audio_buffer.append', audio: 'AAAA', model: 'x' }
    const long = { type: 'session.update', session: { model: 'm'.repeat(300) } }
    expect(
      asked('/v1/realtime', undefined, ['client', append], ['client', long], ['client', { type: 'session.update' }], ['client', []]),
    ).toStrictEqual(realtime)
  })

  it('is nothing where no format has messages of the client', () => {
    expect(asked('/v1/other', 'm', ['client', { type: 'session.update', session: { model: 'm' } }])).toBeUndefined()
  })
})
