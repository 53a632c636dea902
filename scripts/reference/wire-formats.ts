/** Which wire format answers where: asked of the formats themselves. */
import { formats, formatsFor } from '../../src/observe/formats/index.ts'
import { code, generated, table } from './table.ts'

/** Paths as the providers document them; any prefix in front changes nothing. A format that none of them reaches fails the test. */
const paths: readonly (readonly [method: string, path: string])[] = [
  ['POST', '/v1/chat/completions'],
  ['POST', '/openai/deployments/{name}/chat/completions'],
  ['POST', '/v1/completions'],
  ['POST', '/v1/responses'],
  ['POST', '/v1/responses/compact'],
  ['GET', '/v1/realtime'],
  ['GET', '/v1/responses'],
  ['POST', '/v1/embeddings'],
  ['POST', '/v1/images/generations'],
  ['POST', '/v1/videos'],
  ['POST', '/v1/audio/transcriptions'],
  ['POST', '/v1/audio/speech'],
  ['POST', '/v1/moderations'],
  ['POST', '/v1/decisions'],
  ['POST', '/v1/threads/{id}/runs'],
  ['GET', '/v1/responses/{id}'],
  ['GET', '/v1/models'],
  ['POST', '/v1/messages'],
  ['POST', '/v1/messages/count_tokens'],
  ['POST', '/v1/complete'],
  ['POST', '/v1beta/models/{model}:generateContent'],
  ['POST', '/v1beta/models/{model}:streamGenerateContent'],
  ['POST', '/v1beta/models/{model}:embedContent'],
  ['POST', '/v1beta/models/{model}:countTokens'],
  ['POST', '/v1beta/interactions'],
  ['POST', '/v1/projects/{p}/locations/{l}/publishers/google/models/{model}:predict'],
  ['POST', '/v1/projects/{p}/locations/{l}/publishers/anthropic/models/{model}:streamRawPredict'],
  ['POST', '/model/{id}/converse'],
  ['POST', '/model/{id}/converse-stream'],
  ['POST', '/model/{id}/invoke'],
  ['POST', '/model/{id}/invoke-with-response-stream'],
  ['POST', '/v2/chat'],
  ['POST', '/v1/chat'],
  ['POST', '/v2/embed'],
  ['POST', '/v1/generate'],
  ['POST', '/v2/rerank'],
  ['POST', '/api/chat'],
  ['POST', '/api/generate'],
  ['POST', '/ml/v1/text/generation'],
  ['POST', '/ml/v1/text/generation_stream'],
  ['POST', '/ml/v1/text/chat'],
  ['POST', '/ml/v1/text/embeddings'],
  ['POST', '/complete'],
  ['POST', '/v1/predictions'],
  ['POST', '/v1/conversations'],
  ['POST', '/v1/ocr'],
  ['POST', '/mcp'],
  ['GET', '/ws/…BidiGenerateContent'],
  ['POST', '/v1internal:streamGenerateContent'],
  ['POST', '/agents/{id}/agentAliases/{id}/sessions/{id}/text'],
  ['POST', '/api/v1/services/aigc/text-generation/generation'],
  ['POST', '/api/v1/services/embeddings/text-embedding/text-embedding'],
  ['POST', '/v1/ai/language-model'],
  ['POST', '/v1/text/chatcompletion_v2'],
  ['POST', '/generate'],
  ['POST', '/generate_stream'],
  ['POST', '/models/{owner}/{model}'],
  ['POST', '/completion'],
  ['POST', '/client/v4/accounts/{id}/ai/run/@cf/{owner}/{model}'],
  ['POST', '/api/v1/chat'],
  ['POST', '/v1/chat-messages'],
  ['POST', '/v3/chat'],
  ['POST', '/foundationModels/v1/completion'],
  ['POST', '/v1/inference/{owner}/{model}'],
  ['POST', '/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/{model}'],
]

/** By format, the documented paths that it claims. */
export function pathsByFormat(): ReadonlyMap<string, readonly string[]> {
  const claimed = new Map(formats.map(({ name }) => [name, [] as string[]]))
  for (const [method, path] of paths) {
    for (const { name } of formatsFor(method, path)) claimed.get(name)?.push(`${method} ${path}`)
  }
  return claimed
}

export function wireFormatsPage(): string {
  const claimed = pathsByFormat()
  const rows = formats.map(({ name, provider }) => [
    code(name),
    provider === undefined ? '' : code(provider),
    (claimed.get(name) ?? []).map(code).join('<br>'),
  ])
  return `${generated('src/observe/formats/')}

# Wire formats

A format is chosen by the method and the end of the path. If several formats or none claim a path, or if the format does not recognise the response, the shape of
the response decides. If no shape matches, usage is found by the names of its fields (\`usage-vocabulary\`): prompt or input, completion, output or generated,
cached, reasoning, total; in snake, camel or Pascal case; as numbers or texts; inside \`usage\`, \`result\`, \`response\`, \`metadata\` and similar objects.

SageMaker's response streams are read in the format of their container. \`json-rpc\` (MCP, A2A) is not inference, and is in no record. The provider is found
separately ([providers.md](providers.md)); the second column only says whose format it is. An OpenAI-compatible provider needs no format of its own. To add a
format, see [extending.md](extending.md).

${table(['format', 'its own provider', 'spoken at, for example'], rows)}

How a response is divided into messages (\`framing\` in the ledger) depends on the response, never on the provider: \`sse\`, \`ndjson\`, \`json-array\` (Gemini without
\`alt=sse\`), \`eventstream\` (AWS), \`websocket\`, \`whole\` (one JSON body), \`none\` (nothing to read). Responses in gzip, deflate, br and zstd are decoded on a copy.
`
}
