/** Which formats are spoken where: by the end of the path, so that any gateway prefix changes nothing. */
import { describe, expect, it } from 'vitest'
import { formatsFor } from '../../src/observe/formats/index.ts'

const table: readonly (readonly [string, string, ...string[]])[] = [
  ['POST', '/v1/chat/completions', 'openai-chat'],
  ['POST', '/chat/completions/', 'openai-chat'],
  ['POST', '/openai/deployments/weir/chat/completions', 'openai-chat'],
  ['POST', '/v1/acct/gw/openai/chat/completions', 'openai-chat'],
  ['POST', '/api/v2/cortex/inference:complete', 'openai-chat'],
  ['POST', '/v1/agents/completions', 'openai-chat'],
  ['POST', '/v1/fim/completions', 'openai-chat'],
  ['POST', '/v1/projects/p/locations/l/publishers/mistralai/models/weir:rawPredict', 'openai-chat'],
  ['POST', '//openai/deployments/weir/completions', 'openai-completions'],
  ['POST', '/beta/completions', 'openai-completions'],
  ['POST', '/v1/responses', 'openai-responses'],
  ['POST', '/v1/responses/compact', 'openai-responses'],
  ['POST', '/v1/chat', 'cohere-chat-v1', 'openai-chat'],
  ['POST', '/v2/chat', 'cohere-chat-v2'],
  ['POST', '/router/v2/anthropic/v1/messages', 'anthropic-messages'],
  ['POST', '/v1/projects/p/locations/l/publishers/anthropic/models/claude-weir:streamRawPredict', 'anthropic-messages'],
  ['POST', '/v1/messages/count_tokens', 'count-tokens'],
  ['POST', '/v1/messages/batches'],
  ['POST', '/v1/threads/thread_weir/messages'],
  ['POST', '/v1/threads/thread_weir/runs', 'openai-assistants'],
  ['POST', '/v1/threads/runs', 'openai-assistants'],
  ['POST', '/v1/threads/thread_weir/runs/run_weir/submit_tool_outputs', 'openai-assistants'],
  ['GET', '/v1/threads/thread_weir/runs/run_weir', 'stored-response'],
  ['GET', '/v1/responses/resp_weir', 'stored-response'],
  ['POST', '/v1/responses/resp_weir/cancel', 'stored-response'],
  ['POST', '/v1/responses/input_tokens', 'count-tokens'],
  ['GET', '/v1/chat/completions/chatcmpl-weir', 'stored-response'],
  ['GET', '/v1/predictions/weir', 'stored-response'],
  ['POST', '/v1/models/vendor/weir/predictions', 'replicate'],
  ['GET', '/v1/models', 'models'],
  ['GET', '/v1/models/vendor/weir', 'models'],
  ['GET', '/api/tags', 'models'],
  ['POST', '/api/show', 'models'],
  ['GET', '/wiki/tags'],
  ['POST', '/v1beta/models/gemini-weir:generateContent', 'gemini'],
  ['POST', '/v1beta/models/gemini-weir%3AstreamGenerateContent', 'gemini'],
  ['POST', '/v1beta/tunedModels/weir:generateContent', 'gemini'],
  ['POST', '/v1beta/models/gemini-weir:countTokens', 'count-tokens'],
  ['POST', '/v1beta/models/embedding-weir:embedContent', 'gemini-embed'],
  ['POST', '/v1/projects/p/locations/l/publishers/google/models/embedding-weir:predict', 'vertex-predict'],
  ['POST', '/v1beta/interactions', 'gemini-interactions'],
  ['GET', '/v1beta/interactions/weir', 'stored-response'],
  ['POST', '/model/arn%3Aaws%3Abedrock%2Fweir/converse', 'bedrock-converse'],
  ['POST', '/model/arn:aws:bedrock/weir/invoke', 'bedrock-invoke'],
  ['POST', '/model/weir/count-tokens', 'count-tokens'],
  ['POST', '/api/chat', 'ollama'],
  ['POST', '/api/chat/completions', 'openai-chat'],
  ['POST', '/api/embeddings', 'ollama', 'openai-embeddings'],
  ['POST', '/v1/embeddings', 'openai-embeddings'],
  ['POST', '/ml/v1/text/chat_stream', 'watsonx-chat'],
  ['POST', '/ml/v1-beta/generation/text_stream', 'watsonx'],
  ['POST', '/ml/v1/text/embeddings', 'watsonx-embeddings', 'openai-embeddings'],
  ['POST', '/complete', 'anthropic-complete', 'alephalpha'],
  ['POST', '/v1/rerank', 'rerank'],
  ['POST', '/v1/images/edits', 'openai-images'],
  ['POST', '/v1/audio/translations', 'openai-audio'],
  ['POST', '/v1/conversations/conv_weir', 'mistral-conversations'],
  ['GET', '/v1/realtime', 'openai-realtime'],
  ['POST', '/v1/files'],
  ['POST', '/v1/batches'],
  ['POST', '/v1/vector_stores'],
  ['GET', '/v1/chat/completions'],
  ['OPTIONS', '/v1/chat/completions'],
  ['DELETE', '/v1/responses/resp_weir'],
  ['POST', '/'],
]

describe('the formats spoken at', () => {
  it.each(table.map(([method, path, ...names]) => [`${method} ${path}`, names, method, path] as const))(
    '%s are %j',
    (_title, names, method, path) => {
      expect(formatsFor(method, path).map((format) => format.name)).toEqual(names)
    },
  )

  it('a path are the same after a thousand others', () => {
    const before = formatsFor('POST', '/v1/messages')
    for (let other = 0; other < 2000; other++) formatsFor('POST', `/other/${other}`)
    expect(formatsFor('POST', '/v1/messages')).toEqual(before)
  })
})
