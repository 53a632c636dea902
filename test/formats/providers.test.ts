/** Attribution, row by row: each row decides where nothing above it does, and is decided over by what stands above. */
import { describe, expect, it } from 'vitest'
import { createAttributor, providerNamed } from '../../src/conclude/providers/attribution.ts'
import type { Evidence } from '../../src/conclude/providers/evidence.ts'
import { rules } from '../../src/conclude/providers/rules.ts'

const { attribute, requestHeaders, responseHeaders } = createAttributor()

const nothing: Evidence = {
  requestHeaders: {},
  responseHeaders: {},
  host: 'gateway.internal',
  path: '/v1/chat/completions',
  format: 'openai-chat',
}
const by = (evidence: Partial<Evidence>) => attribute({ ...nothing, ...evidence })

const table: readonly (readonly [title: string, evidence: Partial<Evidence>, provider: string, rule: string])[] = [
  ['a route setting above everything', { routeProvider: 'my.own', host: 'api.openai.com', bodyProvider: 'Azure' }, 'my.own', 'route'],
  [
    'Portkey\u2019s answer',
    { responseHeaders: { 'x-portkey-provider': 'vertex-ai' }, host: 'api.openai.com' },
    'gcp.vertex_ai',
    'response-header:x-portkey-provider',
  ],
  ['Bifrost\u2019s answer', { responseHeaders: { 'x-bifrost-provider': 'mistral' } }, 'mistral_ai', 'response-header:x-bifrost-provider'],
  [
    'LiteLLM\u2019s base URL',
    { responseHeaders: { 'x-litellm-model-api-base': 'https://weir.openai.azure.com/openai/' }, requestModel: 'gpt-4o' },
    'azure.ai.openai',
    'response-header:x-litellm-model-api-base',
  ],
  [
    'LiteLLM\u2019s base URL of a host of one\u2019s own, passed over',
    { responseHeaders: { 'x-litellm-model-api-base': 'http://10.0.0.1:8000' }, requestModel: 'groq/llama' },
    'groq',
    'prefix:groq',
  ],
  [
    'Bifrost\u2019s routing info',
    { responseHeaders: { 'x-bifrost-routing-info-provider': 'bedrock' } },
    'aws.bedrock',
    'response-header:x-bifrost-routing-info-provider',
  ],
  [
    'Cloudflare\u2019s answer, on the path of another provider it fell back from',
    { responseHeaders: { 'cf-aig-provider': 'workers-ai' }, path: `/v1/${'0af7'.repeat(8)}/gw/openai/chat/completions` },
    'cloudflare',
    'response-header:cf-aig-provider',
  ],
  [
    'Helicone\u2019s answer',
    { responseHeaders: { 'helicone-provider': 'azure' }, requestModel: 'gpt-4o' },
    'azure.ai.openai',
    'response-header:helicone-provider',
  ],
  [
    'LiteLLM\u2019s model, where its base URL names nobody',
    {
      responseHeaders: { 'x-litellm-model-api-base': 'http://10.0.0.1:8000', 'x-litellm-model-name': 'anthropic/claude-weir' },
      requestModel: 'team-default',
    },
    'anthropic',
    'response-header:x-litellm-model-name',
  ],
  [
    'LiteLLM\u2019s model by a route that serves everybody, passed over',
    { responseHeaders: { 'x-litellm-model-name': 'openai/mistral-weir' }, requestModel: 'groq/llama' },
    'groq',
    'prefix:groq',
  ],
  ['Kong\u2019s model', { responseHeaders: { 'x-kong-llm-model': 'bedrock/nova' } }, 'aws.bedrock', 'response-header:x-kong-llm-model'],
  ['Kong\u2019s model without a provider, passed over', { responseHeaders: { 'x-kong-llm-model': 'nova' } }, 'unknown', 'none'],
  ['ngrok\u2019s model', { responseHeaders: { 'ngrok-aig-model': 'anthropic/claude' } }, 'anthropic', 'response-header:ngrok-aig-model'],
  [
    'OpenRouter\u2019s head',
    { responseHeaders: { 'x-provider-name': 'Google' }, host: 'openrouter.ai' },
    'gcp.vertex_ai',
    'response-header:x-provider-name',
  ],
  [
    'OpenRouter\u2019s body',
    { bodyProvider: 'Amazon Bedrock', host: 'openrouter.ai', requestModel: 'anthropic/claude-weir' },
    'aws.bedrock',
    'body:provider',
  ],
  ['a name in a body that nobody knows', { bodyProvider: 'Weir Cloud' }, 'weir_cloud', 'body:provider'],
  ['a body whose provider cannot be a name, passed over', { bodyProvider: '<script>' }, 'unknown', 'none'],
  [
    'what the client told Portkey',
    { requestHeaders: { 'x-portkey-provider': 'azure-openai' } },
    'azure.ai.openai',
    'request-header:x-portkey-provider',
  ],
  ['a slug of one\u2019s own at Portkey, passed over', { requestHeaders: { 'x-portkey-provider': '@team-keys' } }, 'unknown', 'none'],
  [
    'the host that the client told Portkey',
    { requestHeaders: { 'x-portkey-custom-host': 'https://api.mistral.ai/v1', 'x-portkey-provider': 'openai' } },
    'mistral_ai',
    'request-header:x-portkey-custom-host',
  ],
  [
    'the provider that the client told Portkey for a host of its own',
    { requestHeaders: { 'x-portkey-custom-host': 'http://10.0.0.1/v1', 'x-portkey-provider': 'mistral-ai' } },
    'mistral_ai',
    'request-header:x-portkey-provider',
  ],
  [
    'the name that the client told Helicone, where nobody knows the URL',
    { requestHeaders: { 'helicone-target-url': 'https://weir.example', 'helicone-target-provider': 'Weir Cloud' } },
    'weir_cloud',
    'request-header:helicone-target-provider',
  ],
  [
    'what the client told Helicone',
    { requestHeaders: { 'helicone-target-url': 'https://api.groq.com' } },
    'groq',
    'request-header:helicone-target-url',
  ],
  [
    'Azure behind Helicone',
    { requestHeaders: { 'helicone-openai-api-base': 'https://weir.openai.azure.com' } },
    'azure.ai.openai',
    'request-header:helicone-openai-api-base',
  ],
  [
    'Azure by host, whatever the model',
    { host: 'weir.openai.azure.com', requestModel: 'gpt-4o' },
    'azure.ai.openai',
    'host:.openai.azure.com',
  ],
  ['Azure by host in capitals', { host: 'WEIR.OpenAI.Azure.COM' }, 'azure.ai.openai', 'host:.openai.azure.com'],
  [
    'Azure Foundry on OpenAI\u2019s path',
    { host: 'weir.services.ai.azure.com', path: '/openai/v1/responses' },
    'azure.ai.openai',
    'host:.services.ai.azure.com',
  ],
  [
    'Azure Foundry on its own path',
    { host: 'weir.services.ai.azure.com', path: '/models/chat/completions' },
    'azure.ai.inference',
    'host:.services.ai.azure.com',
  ],
  [
    'Groq by host, though the model begins with another vendor',
    { host: 'api.groq.com', requestModel: 'openai/gpt-oss-120b' },
    'groq',
    'host:api.groq.com',
  ],
  [
    'Bedrock by a host with a region',
    { host: 'bedrock-runtime.eu-west-1.amazonaws.com', format: 'anthropic-messages' },
    'aws.bedrock',
    'host:bedrock-runtime.*.amazonaws.com',
  ],
  [
    'Vertex by a host with a region',
    { host: 'europe-west4-aiplatform.googleapis.com', format: 'gemini' },
    'gcp.vertex_ai',
    'host:*-aiplatform.googleapis.com',
  ],
  [
    'DeepSeek by host in Anthropic\u2019s format',
    { host: 'api.deepseek.com', format: 'anthropic-messages' },
    'deepseek',
    'host:api.deepseek.com',
  ],
  ['a host that only contains another\u2019s name', { host: 'api.openai.com.evil.test' }, 'unknown', 'none'],
  [
    'a host that ends in another\u2019s name without a dot',
    { host: 'notapi.anthropic.com', requestModel: 'grok-weir' },
    'x_ai',
    'model:^grok-',
  ],
  [
    'an Azure deployment by path',
    { path: '/openai/deployments/weir/chat/completions' },
    'azure.ai.openai',
    'path:\\/openai\\/deployments\\/[^/]+\\/',
  ],
  [
    'Vertex by path',
    { path: '/v1/projects/p/locations/l/publishers/anthropic/models/claude:rawPredict', format: 'anthropic-messages' },
    'gcp.vertex_ai',
    'path:\\/projects\\/[^/]+\\/locations\\/[^/]+\\/',
  ],
  ['Gemini\u2019s OpenAI path', { path: '/v1beta/openai/chat/completions' }, 'gcp.gemini', 'path:\\/v1beta\\/openai\\/'],
  ['Bedrock by format', { format: 'bedrock-invoke', path: '/model/x/invoke' }, 'aws.bedrock', 'format:bedrock-converse'],
  [
    'Ollama by format, though the model has another\u2019s name',
    { format: 'ollama', path: '/api/chat', requestModel: 'command-r:35b' },
    'ollama',
    'format:ollama',
  ],
  [
    'Azure by head, though OpenAI\u2019s headers are there too',
    { responseHeaders: { 'openai-version': '1', 'x-ms-region': 'East US' } },
    'azure.ai.openai',
    'sends:x-ms-region',
  ],
  ['OpenAI by head', { responseHeaders: { 'openai-version': '2020-10-01' }, requestModel: 'my-alias' }, 'openai', 'sends:openai-version'],
  ['a head passed on by LiteLLM', { responseHeaders: { 'llm_provider-x-groq-region': 'x' } }, 'groq', 'sends:x-groq-region'],
  [
    'a gateway path',
    { path: '/v1/acct/gw/google-ai-studio/v1/models/gemini-weir:generateContent', format: 'gemini' },
    'gcp.gemini',
    'segment:google-ai-studio',
  ],
  [
    'Cloudflare\u2019s path, a provider that has no row',
    { path: `/v1/${'0af7'.repeat(8)}/gw/cerebras-ai/chat/completions` },
    'cerebras_ai',
    'path-names:\\/v1\\/[0-9a-f]{32}\\/[^/]+\\/(?!(?:compat|dynamic)\\/)([a-z][a-z0-9-]*)\\/',
  ],
  [
    'Cloudflare\u2019s path in the upstream\u2019s URL',
    { basePath: `/v1/${'0af7'.repeat(8)}/gw/workers-ai`, path: '/v1/chat/completions' },
    'cloudflare',
    'path-names:\\/v1\\/[0-9a-f]{32}\\/[^/]+\\/(?!(?:compat|dynamic)\\/)([a-z][a-z0-9-]*)\\/',
  ],
  [
    'Cloudflare\u2019s path for all providers, where the model names one',
    { path: `/v1/${'0af7'.repeat(8)}/gw/compat/chat/completions`, requestModel: 'groq/llama' },
    'groq',
    'prefix:groq',
  ],
  [
    'the model that Envoy routes by, where the body has an alias',
    { requestHeaders: { 'x-ai-eg-model': 'us.amazon.nova-weir' }, requestModel: 'fast' },
    'aws.bedrock',
    'request-header:x-ai-eg-model',
  ],
  [
    'the group that LiteLLM answers with',
    {
      responseHeaders: { 'x-litellm-model-id': '0af7651916cd43dd', 'x-litellm-model-group': 'vertex_ai/claude-weir' },
      requestModel: 'fast',
    },
    'gcp.vertex_ai',
    'response-header:x-litellm-model-group',
  ],
  [
    'a deployment of LiteLLM by the name of a model',
    { responseHeaders: { 'x-litellm-model-id': 'claude-weir-eu' }, requestModel: 'fast' },
    'anthropic',
    'response-header:x-litellm-model-id',
  ],
  ['a gateway path to OpenAI', { path: '/router/v2/openai/v1/responses', format: 'openai-responses' }, 'openai', 'segment:openai'],
  ['a segment that only contains a name', { path: '/my-groq-proxy/v1/chat/completions' }, 'unknown', 'none'],
  ['a routing prefix', { requestModel: 'bedrock/us.anthropic.claude-weir' }, 'aws.bedrock', 'prefix:bedrock'],
  [
    'a routing prefix in Anthropic\u2019s format',
    { requestModel: 'vertex_ai/claude-weir', format: 'anthropic-messages' },
    'gcp.vertex_ai',
    'prefix:vertex_ai',
  ],
  ['a routing prefix as Portkey writes it', { requestModel: '@anthropic/claude-weir' }, 'anthropic', 'prefix:anthropic'],
  ['an open model under a vendor\u2019s name, which is no routing', { requestModel: 'openai/gpt-oss-120b' }, 'unknown', 'none'],
  ['a vendor on a model hub, which is no routing', { requestModel: 'meta-llama/Llama-3.3-70B' }, 'unknown', 'none'],
  [
    'Bedrock\u2019s ids',
    { requestModel: 'us.anthropic.claude-weir-v1:0' },
    'aws.bedrock',
    'model:^((us|eu|apac|jp|au|ca|global)\\.)?(ai21|amazon|anthropic|cohere|deepseek|meta|mistral|openai|qwen|writer)\\.[a-z]',
  ],
  ['a closed model', { requestModel: 'claude-weir' }, 'anthropic', 'model:^claude-'],
  ['a closed model named by the answer alone', { responseModel: 'gemini-weir' }, 'gcp.gemini', 'model:^gemini-'],
  ['the request\u2019s model over the answer\u2019s', { requestModel: 'grok-weir', responseModel: 'claude-weir' }, 'x_ai', 'model:^grok-'],
  ['open weights, which say nothing', { requestModel: 'gpt-oss:20b' }, 'unknown', 'none'],
  [
    'Anthropic by format',
    { format: 'anthropic-messages', requestModel: 'my-alias', path: '/v1/messages' },
    'anthropic',
    'format:anthropic-messages',
  ],
  ['Gemini by format', { format: 'gemini', path: '/v1beta/models/alias:generateContent' }, 'gcp.gemini', 'format:gemini'],
  ['Cohere by format', { format: 'rerank', path: '/v1/rerank' }, 'cohere', 'format:cohere-chat-v1'],
  [
    'a client of Anthropic that lists models',
    { format: 'models', path: '/v1/models', requestHeaders: { 'anthropic-version': '2023-06-01' } },
    'anthropic',
    'client-sends:anthropic-version',
  ],
  [
    'Copilot, however its accounts are sold',
    { host: 'api.business.githubcopilot.com', path: '/chat/completions' },
    'github_copilot',
    'host:.githubcopilot.com',
  ],
  ['ChatGPT\u2019s backend', { host: 'chatgpt.com', path: '/backend-api/codex/responses' }, 'openai', 'host:chatgpt.com'],
  ['ChatGPT\u2019s backend behind a proxy', { path: '/backend-api/codex/responses' }, 'openai', 'path:\\/backend-api\\/codex\\/'],
  [
    'Ark in any region',
    { host: 'ark.cn-beijing.volces.com', requestModel: 'ep-20250101000000-abcde' },
    'volcengine',
    'host:ark.*.volces.com',
  ],
  [
    'Z.ai\u2019s plan for coding',
    { path: '/api/coding/paas/v4/chat/completions', requestModel: 'glm-5' },
    'z_ai',
    'path:\\/api\\/(coding\\/)?paas\\/v4\\/',
  ],
  [
    'Vertex AI with a key',
    { path: '/v1/publishers/google/models/gemini-weir:generateContent', format: 'gemini' },
    'gcp.vertex_ai',
    'path:\\/publishers\\/[a-z-]+\\/models\\/[^/]+:[A-Za-z]+\\/?$',
  ],
  [
    'Anthropic\u2019s format at somebody else\u2019s path of that name',
    { path: '/anthropic/v1/messages', format: 'anthropic-messages', requestModel: 'deepseek-chat' },
    'deepseek',
    'model:^deepseek-(chat|reasoner|coder|v4-(flash|pro))$',
  ],
  [
    'Anthropic\u2019s format in front of open weights',
    {
      path: '/v1/messages',
      format: 'anthropic-messages',
      requestModel: 'qwen3-coder',
      requestHeaders: { 'anthropic-version': '2023-06-01' },
    },
    'unknown',
    'none',
  ],
  ['Anthropic\u2019s path and model', { path: '/anthropic/v1/messages', requestModel: 'claude-weir' }, 'anthropic', 'segment:anthropic'],
  ['a body that Vercel routed', { bodyProvider: 'vertex', host: 'ai-gateway.vercel.sh' }, 'gcp.vertex_ai', 'body:provider'],
  [
    'a model that Vercel\u2019s gateway is asked for',
    { requestHeaders: { 'ai-language-model-id': 'mistral/weir-large' }, format: 'vercel-ai' },
    'mistral_ai',
    'request-header:ai-language-model-id',
  ],
  ['open weights of DeepSeek under a bare name', { requestModel: 'deepseek-v3.1' }, 'unknown', 'none'],
  ['OpenAI\u2019s format alone', {}, 'unknown', 'none'],
  ['a format that nobody knows', { format: undefined, path: '/stream' }, 'unknown', 'none'],
]

describe('attribution by', () => {
  it.each(table)('%s', (_title, evidence, provider, rule) => {
    expect(by(evidence)).toEqual({ provider, rule })
  })
})

describe('a host, a path and a model that were seen before', () => {
  it('leave every other evidence its say, whichever came first', () => {
    const place = { host: 'seen.internal', path: '/again/groq/v1/chat/completions', requestModel: 'claude-sonnet-5' }
    const said = { ...place, responseHeaders: { 'x-ppl-region': 'iad' } }
    expect([place, said, place].map((evidence) => by(evidence).rule)).toEqual(['segment:groq', 'sends:x-ppl-region', 'segment:groq'])
    expect(by({ ...place, format: 'ollama' }).rule).toBe('format:ollama')
    expect(by({ ...said, routeProvider: 'my.own' }).provider).toBe('my.own')
  })

  it('are told from their like, however many there were', () => {
    const model = (requestModel: string) => ({ host: 'seen.internal', path: '/v1/chat/completions', requestModel })
    const seen = Array.from({ length: 1200 }, (_, index) => by({ ...model('gpt-5'), path: `/threads/${index}/groq/` }).provider)
    expect(new Set(seen)).toEqual(new Set(['groq']))
    expect(['gpt-5', 'claude-sonnet-5', undefined, 'gemini-3'].map((name) => by(model(name as string)).provider)).toEqual([
      'openai',
      'anthropic',
      'unknown',
      'gcp.gemini',
    ])
    const others = [{}, { basePath: '/mistral' }, { host: 'api.x.ai' }, { path: '/cohere/v1/chat' }]
    const providers = others.map((other) => by({ ...model('llama'), ...other }).provider)
    expect(providers).toEqual(['unknown', 'mistral_ai', 'x_ai', 'cohere'])
  })
})

describe('the table', () => {
  /** Evidence that fits this row and as little else as may be. */
  function evidenceFor(rule: (typeof rules)[number]): Evidence | undefined {
    const none: Evidence = { requestHeaders: {}, responseHeaders: {}, host: 'h', path: '/p' }
    switch (rule.kind) {
      case 'host':
        return {
          ...none,
          host: rule.of.replace(/^\./, 'weir.').replace('*', 'weir'),
          path: rule.path === undefined ? '/p' : '/openai/backend-api/ai/v1',
        }
      case 'format':
        return { ...none, format: rule.of[0] }
      case 'sends':
        return { ...none, responseHeaders: { [rule.of]: 'x' } }
      case 'client-sends':
        return { ...none, requestHeaders: { [rule.of]: 'x' } }
      case 'segment':
        return { ...none, path: `/a/${rule.of}/b` }
      case 'prefix':
        return { ...none, requestModel: `${rule.of}/weir` }
      default:
        return undefined
    }
  }

  it.each(
    rules.flatMap((rule) => (evidenceFor(rule) === undefined || !('provider' in rule) ? [] : [[`${rule.kind} ${rule.of}`, rule] as const])),
  )('gives the provider of the row %s', (_title, rule) => {
    expect(attribute(evidenceFor(rule) as Evidence).provider).toBe((rule as { provider: string }).provider)
  })

  it('names every header that a row reads, once, in lower case', () => {
    for (const names of [requestHeaders, responseHeaders]) {
      expect([...new Set(names)]).toEqual(names)
      expect(names.map((name) => name.toLowerCase())).toEqual(names)
    }
    expect(responseHeaders).toEqual(
      expect.arrayContaining([
        'content-type',
        'content-encoding',
        'x-portkey-provider',
        'x-litellm-model-api-base',
        'x-amzn-bedrock-input-token-count',
      ]),
    )
    expect(requestHeaders).toEqual(expect.arrayContaining(['content-type', 'content-encoding', 'helicone-target-url']))
  })

  it('keeps no header that holds a secret', () => {
    const secret = /authorization|api-key|cookie|token$|secret/
    expect([...requestHeaders, ...responseHeaders].filter((name) => secret.test(name))).toEqual([])
  })
})

describe('a name', () => {
  it.each([
    ['Azure-OpenAI', 'azure.ai.openai'],
    ['google vertex', 'gcp.vertex_ai'],
    ['Z.AI', 'z_ai'],
    ['constructor', 'constructor'],
    ['', undefined],
    ['@mine', undefined],
    ['x'.repeat(65), undefined],
  ])('%j means %j', (name, provider) => {
    expect(providerNamed(name)).toBe(provider)
  })
})
