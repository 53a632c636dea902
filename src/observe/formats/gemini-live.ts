/**
 * Gemini Live: one WebSocket, many turns. Each turn ends with the usage of that turn, and usage is their sum.
 * Adjustments: those of `gemini.ts`; here the output is called `responseTokenCount`.
 * Source: https://ai.google.dev/api/live
 */
import type { ConnectionResponses, RequestFacts, ResponseFacts, Side } from '../../lib/exchange.ts'
import { at, type Json, object, text } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { geminiUsage } from './gemini.ts'
import { addedUsage, errorOf, learn, present, usageLesson } from './learn.ts'
import { noBody, outputTypeOfModalities, requestFacts } from './request.ts'

const livePath = /BidiGenerateContent|LlmBidiService/

export const geminiLive: Format = {
  name: 'gemini-live',
  provider: 'gcp.gemini',
  wantedKeys: ['usageMetadata', 'turnComplete', 'interrupted', 'setupComplete', 'error'],
  claims: (method, path) => method === 'GET' && livePath.test(path),
  recognises: (message) => at(message, 'setupComplete') !== undefined || object(at(message, 'serverContent')) !== undefined,
  readRequest: () => requestFacts({ operation: 'chat', usageExpected: true, stream: true }),
  session: { wantedKeys: ['setup', 'clientContent', 'realtimeInput', 'toolResponse'], inBinary: true, readRequest },
  readResponse(facts, message) {
    const body = object(message)
    if (body === undefined) return facts
    const content = object(body['serverContent']) ?? noBody
    const ends = content['turnComplete'] === true
    const begun = Object.keys(content).length > 0 && !ends && (facts.responses?.underWay ?? 0) === 0 ? withBegun(facts) : facts
    const raw = body['usageMetadata']
    const usage = geminiUsage(raw)
    const learnt = learn(begun, {
      ...usageLesson(usage === undefined ? undefined : addedUsage(facts.usage, usage), usage === undefined ? raw : undefined),
      id: text(at(body, 'setupComplete', 'sessionId')),
      error: errorOf(body),
    })
    return ends ? withEnded(learnt, usage) : learnt
  },
}

/** So many of the last turns are remembered, one by one. */
const lastMax = 128
const none: ConnectionResponses = { ended: 0, underWay: 0, last: [] }

function withBegun(facts: ResponseFacts): ResponseFacts {
  const responses = facts.responses ?? none
  return { ...facts, finished: false, responses: { ...responses, underWay: 1 } }
}

function withEnded(facts: ResponseFacts, usage: ResponseFacts['usage']): ResponseFacts {
  const { ended, last } = facts.responses ?? none
  const one = present({ finishReason: 'turn_complete', usage })
  return {
    ...facts,
    finishReasons: ['turn_complete'],
    finished: true,
    responses: { ended: ended + 1, underWay: 0, last: [...last.slice(1 - lastMax), one] },
  }
}

/** The first message sets the session up. */
function readRequest(facts: RequestFacts, message: Json, from: Side): RequestFacts {
  const setup = from === 'client' ? object(at(message, 'setup')) : undefined
  if (setup === undefined) return facts
  const config = object(setup['generationConfig']) ?? noBody
  return present({
    ...facts,
    model:
      text(setup['model'])
        ?.replace(/^.*models\//, '')
        .slice(0, 256) ?? facts.model,
    outputType: outputTypeOfModalities(config['responseModalities']) ?? facts.outputType,
  })
}
