/**
 * Agents of Bedrock (InvokeAgent, InvokeInlineAgent), whose event-stream tells in its trace what each call of a model has used: usage is the
 * sum. Without `enableTrace` nothing is told.
 * Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_InvokeAgent.html
 */
import type { ResponseFacts, Usage } from '../../lib/exchange.ts'
import { at, boolean, type Json, type JsonObject, object, text } from '../../lib/json.ts'
import { converseUsage, exceptionOf } from './bedrock-converse.ts'
import type { Format } from './format.ts'
import { addedUsage, errorOf, learn, namedError } from './learn.ts'
import { requestFacts } from './request.ts'

const agentPath = /\/agents\/(?!completions)([^/]+)(?:\/agentAliases\/[^/]+\/sessions\/([^/]+)\/text)?\/?$/

export const bedrockAgent: Format = {
  name: 'bedrock-agent',
  provider: 'aws.bedrock',
  hasNoEnd: true,
  wantedKeys: undefined,
  claims: (method, path) => method === 'POST' && agentPath.test(path),
  // An inline agent has a session in that place, and others have agents too.
  isHint: (path) => !path.includes('/agentAliases/'),
  recognises: (message) => object(at(message, 'trace')) !== undefined && text(at(message, 'sessionId')) !== undefined,
  readRequest: (json, path) => {
    const [, agent, session] = agentPath.exec(path) ?? []
    return requestFacts({
      operation: 'invoke_agent',
      usageExpected: true,
      usageRequested: boolean(at(json, 'enableTrace')),
      model: text(at(json, 'foundationModel')) ?? agent,
      conversationId: session ?? agent,
    })
  },
  readResponse(facts, message, event) {
    const body = object(message)
    if (body === undefined) return facts
    return learn(withCalls(facts, body), { error: exceptionOf(body, event) ?? errorOf(body) ?? failureOf(body) })
  },
}

/** The model calls of one trace event, each once: an event that is read again adds nothing. */
function withCalls(facts: ResponseFacts, body: JsonObject): ResponseFacts {
  const calls = Object.values(object(body['trace']) ?? {}).flatMap((trace) => {
    const output = object(at(trace, 'modelInvocationOutput'))
    const usage = converseUsage(at(output, 'metadata', 'usage'))
    return usage === undefined ? [] : [{ id: text(output?.['traceId']), usage }]
  })
  const seen = facts.calls ?? []
  const added = calls.filter((call) => call.id === undefined || !seen.includes(call.id))
  if (added.length === 0) return facts
  const usage = added.reduce<Usage | undefined>((sum, call) => addedUsage(sum, call.usage), facts.usage)
  const ids = [...seen, ...added.flatMap((call) => call.id ?? [])].slice(-callsMax)
  return { ...facts, usage, calls: ids }
}

/** So many ids of calls are remembered. */
const callsMax = 256

function failureOf(body: JsonObject): ResponseFacts['error'] {
  const reason: Json | undefined = at(body, 'trace', 'failureTrace', 'failureReason')
  return reason === undefined ? undefined : namedError('failureTrace', text(reason))
}
