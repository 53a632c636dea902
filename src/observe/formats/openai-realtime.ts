/**
 * OpenAI Realtime, and Responses over a WebSocket: one connection carries many responses, and their usage is summed, each response once.
 * The one format in which usage adds up. Input includes cached tokens; no other adjustment.
 * Sources: https://platform.openai.com/docs/api-reference/realtime-server-events/response/done,
 * https://platform.openai.com/docs/guides/websocket-mode
 */
import type { ConnectionResponses, EndedResponse, RequestFacts, ResponseFacts, Side } from '../../lib/exchange.ts'
import { at, count, type Json, type JsonObject, number, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { addedUsage, errorOf, idText, learn, present, usageLesson } from './learn.ts'
import { eventError } from './openai-responses.ts'
import { openaiUsage } from './openai-usage.ts'
import { endsWith, endsWithAny } from './paths.ts'
import { openaiSettings, outputTypeOf, outputTypeOfModalities, requestFacts } from './request.ts'

const ends: ReadonlySet<string> = new Set(['response.done', 'response.completed', 'response.incomplete', 'response.failed'])

export const openaiRealtime: Format = {
  name: 'openai-realtime',
  provider: 'openai',
  wantedKeys: ['response', 'session', 'usage', 'error', 'code', 'message'],
  claims: (method, path) => method === 'GET' && endsWithAny(path, ['/realtime', '/responses']),
  recognises: (message) => (text(at(message, 'type')) ?? '').startsWith('session.') || ends.has(text(at(message, 'type')) ?? ''),
  readRequest: (_body, path) =>
    requestFacts({
      operation: 'chat',
      usageExpected: true,
      stream: true,
      openaiApiType: endsWith(path, '/responses') ? 'responses' : 'realtime',
    }),
  session: {
    wantedKeys: ['session', 'response', 'model'],
    readRequest,
  },
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    const type = text(body['type']) ?? ''
    if (type === 'error') return learn(facts, { error: eventError(body) })
    const response = object(body['response'])
    if (response !== undefined && ends.has(type)) return withEnded(facts, response)
    if (response !== undefined && type === 'response.created') return withBegun(facts)
    if (type === transcriptEnd) return withTranscript(facts, body)
    return learn(facts, { id: idText(at(body, 'session', 'id')), model: text(at(body, 'session', 'model')) })
  },
}

/** Speech that was heard is written down by a model of its own, whose usage stands beside the transcript and in no response. */
const transcriptEnd = 'conversation.item.input_audio_transcription.completed'

/** Each transcript once. One that is billed by seconds has no tokens, and none are missing. */
function withTranscript(facts: ResponseFacts, body: JsonObject): ResponseFacts {
  const usage = openaiUsage(body['usage'])
  if (usage === undefined) return facts
  const id = `${idText(body['item_id']) ?? ''}/${count(body['content_index']) ?? 0}`
  const { ended, underWay, last } = facts.responses ?? none
  if (last.some((one) => one.id === id)) return facts
  return {
    ...learn(facts, { usage: addedUsage(facts.usage, usage), finished: underWay === 0 }),
    responses: { ended: ended + 1, underWay, last: [...last.slice(1 - lastMax), { id, usage }] },
  }
}

/** So many of the last responses are remembered, one by one. */
const lastMax = 128
const none: ConnectionResponses = { ended: 0, underWay: 0, last: [] }

/** A new response is under way: leaving now cuts it. */
function withBegun(facts: ResponseFacts): ResponseFacts {
  const responses = facts.responses ?? none
  return { ...facts, finished: false, responses: { ...responses, underWay: responses.underWay + 1 } }
}

function withEnded(facts: ResponseFacts, response: JsonObject): ResponseFacts {
  const id = idText(response['id'])
  const { ended, underWay, last } = facts.responses ?? none
  // Gateways that translate between the two APIs have been seen to send both of their terminal events.
  if (id !== undefined && last.some((one) => one.id === id)) return facts
  const details = response['status_details'] ?? response['incomplete_details']
  const finishReason = text(at(details, 'reason')) ?? text(response['status'])
  const usage = openaiUsage(response['usage'])
  const one: EndedResponse = present({ id, finishReason, usage })
  const left = Math.max(0, underWay - 1)
  const lesson = usageLesson(
    usage === undefined ? undefined : addedUsage(facts.usage, usage),
    usage === undefined ? response['usage'] : undefined,
  )
  const error = errorOf(response) ?? errorOf(object(response['status_details']) ?? {})
  // An error that the connection got over is none of the connection.
  const { error: _before, ...kept } = facts
  return {
    ...learn(error === undefined && left === 0 ? kept : facts, {
      id,
      model: text(response['model']),
      finishReasons: finishReason === undefined ? undefined : [finishReason],
      finished: left === 0,
      error,
      serviceTier: text(response['service_tier']),
      ...lesson,
    }),
    responses: { ended: ended + 1, underWay: left, last: [...last.slice(1 - lastMax), one] },
  }
}

/** Longer texts are no names. */
const nameLengthMax = 256

/** `session.update` and `response.create` ask; what `session.created` names is taken where nothing was asked for. */
function readRequest(facts: RequestFacts, message: Json, from: Side): RequestFacts {
  const body = object(message)
  if (body === undefined) return facts
  const type = text(body['type'])
  if (from === 'upstream') {
    const model = facts.model === undefined && type?.startsWith('session.') ? text(at(body, 'session', 'model')) : undefined
    return asked(facts, { model })
  }
  if (type === 'session.update') return asked(facts, sessionSettings(object(body['session'])))
  if (type !== 'response.create') return facts
  // Realtime puts the settings into an object; Responses has them beside the type, as its POST has them.
  const response = object(body['response'])
  return asked(facts, response === undefined ? responseSettings(body) : sessionSettings(response))
}

type Settings = Omit<RequestFacts, 'operation' | 'usageExpected'>

function sessionSettings(settings: JsonObject | undefined): Settings {
  if (settings === undefined) return {}
  return {
    model: text(settings['model']),
    maxTokens: count(settings['max_output_tokens']) ?? count(settings['max_response_output_tokens']),
    temperature: number(settings['temperature']),
    outputType: outputTypeOfModalities(settings['output_modalities'] ?? settings['modalities']),
  }
}

function responseSettings(body: JsonObject): Settings {
  const { stream: _implied, ...settings } = openaiSettings(body)
  return {
    ...settings,
    outputType: outputTypeOf(at(body, 'text', 'format')),
    conversationId: text(body['conversation']) ?? text(at(body, 'conversation', 'id')),
  }
}

/** The facts with what is newly asked for; the last word counts. */
function asked(facts: RequestFacts, settings: Settings): RequestFacts {
  const news = Object.entries(settings).filter(
    ([key, value]) =>
      value !== undefined && value !== facts[key as keyof Settings] && !(typeof value === 'string' && value.length > nameLengthMax),
  )
  return news.length === 0 ? facts : { ...facts, ...Object.fromEntries(news) }
}
