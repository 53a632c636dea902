/** The traffic of the demo: every format, streamed and not, well-behaved and not. */
import type { JsonObject } from '../../src/lib/json.ts'

export interface DemoRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: JsonObject
  /** The client goes away after the first bytes of the answer. */
  readonly leaves?: boolean
}

const post = (path: string, body: JsonObject, leaves = false): DemoRequest => ({ method: 'POST', path, body, leaves })

const questions = [
  'How many tokens went through the weir today?',
  'Summarise the minutes of the meeting in one sentence, please, and name who has to do what.',
  'Write a haiku about water.',
  'Why is the sky blue? Explain it to a child of six, with an example.',
]

let asked = 0
const question = () => questions[asked++ % questions.length] ?? ''

const messages = () => [{ role: 'user', content: question() }]
const streamed = { stream: true }
const withUsage = { stream: true, stream_options: { include_usage: true } }

const chat = (model: string, how: JsonObject = {}, leaves = false) =>
  post('/v1/chat/completions', { model, messages: messages(), ...how }, leaves)
const claude = (model: string, how: JsonObject = {}, leaves = false) =>
  post('/v1/messages', { model, max_tokens: 400, messages: messages(), ...how }, leaves)
const response = (model: string, how: JsonObject = {}) => post('/v1/responses', { model, input: question(), ...how })
const cohere = (model: string, how: JsonObject = {}) => post('/v2/chat', { model, messages: messages(), ...how })
const ollama = (model: string, how: JsonObject = {}) => post('/api/chat', { model, messages: messages(), ...how })
const bedrock = (model: string, verb: 'converse' | 'converse-stream') =>
  post(`/model/${encodeURIComponent(model)}/${verb}`, { messages: [{ role: 'user', content: [{ text: question() }] }] })
const gemini = (model: string, method: string) =>
  post(`/v1beta/models/${model}:${method}`, { contents: [{ role: 'user', parts: [{ text: question() }] }] })

/** Well answered, every kind of them. Called again, they ask other questions. */
export const goodRequests = (): readonly DemoRequest[] => [
  ...['gpt-4o', 'gpt-5', 'anthropic/claude-sonnet-5.5', 'mistral/mistral-large', 'deepseek/deepseek-reasoner'].flatMap((model) => [
    chat(model),
    chat(model, withUsage),
  ]),
  // Others that speak OpenAI's format, known by the names of their models.
  ...['grok-4', 'deepseek-chat', 'mistral-large-latest', 'sonar-pro'].flatMap((model) => [chat(model), chat(model, withUsage)]),
  chat('gpt-4o-mini', streamed),
  chat('gpt-4o', { ...withUsage, max_completion_tokens: 8, n: 2 }),
  post('/v1/completions', { model: 'gpt-3.5-turbo-instruct', prompt: question() }),
  post('/v1/completions', { model: 'gpt-3.5-turbo-instruct', prompt: question(), ...withUsage }),
  post('/v1/embeddings', { model: 'text-embedding-3-small', input: questions }),
  response('gpt-5'),
  response('gpt-5', streamed),
  response('o4-mini', { ...streamed, max_output_tokens: 16 }),
  ...['claude-sonnet-5-5', 'claude-haiku-5-5'].flatMap((model) => [claude(model), claude(model, streamed), claude(model, streamed)]),
  gemini('gemini-2.5-flash', 'generateContent'),
  gemini('gemini-2.5-flash', 'streamGenerateContent?alt=sse'),
  gemini('gemini-2.5-pro', 'streamGenerateContent?alt=sse'),
  gemini('gemini-2.5-pro', 'streamGenerateContent'),
  bedrock('anthropic.claude-sonnet-5-5-v1:0', 'converse'),
  bedrock('anthropic.claude-sonnet-5-5-v1:0', 'converse-stream'),
  bedrock('amazon.nova-pro-v1:0', 'converse-stream'),
  cohere('command-a-03-2025'),
  cohere('command-a-03-2025', streamed),
  ollama('qwen3:8b'),
  ollama('llama3.3:70b', { stream: false }),
  { method: 'GET', path: '/v1/models' },
]

/** What goes wrong in real life. */
export const faultyRequests = (): readonly DemoRequest[] => [
  chat('silent-1'),
  chat('silent-1', withUsage),
  claude('silent-1', streamed),
  chat('zero-1', withUsage),
  chat('strict-1', streamed),
  chat('cut-1', withUsage),
  claude('cut-1', streamed),
  chat('broken-1', withUsage),
  claude('broken-1', streamed),
  chat('error-429'),
  claude('error-529', streamed),
  bedrock('cut-1', 'converse-stream'),
  cohere('silent-1', streamed),
  ollama('broken-1'),
  cohere('error-429'),
  gemini('error-503', 'streamGenerateContent?alt=sse'),
  chat('gpt-4o', withUsage, true),
  claude('claude-sonnet-5-5', streamed, true),
]

/** All of them, once. */
export const demoRequests: readonly DemoRequest[] = [...goodRequests(), ...faultyRequests()]
