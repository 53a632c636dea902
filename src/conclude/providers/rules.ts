/**
 * Which provider answered: `gen_ai.provider.name`. One ordered table; the first row that matches decides, and its name is returned with the
 * provider, so that a wrong attribution can be traced to its row. A route's explicit setting stands above every row.
 *
 * The order is from what names the provider to what merely suggests it: what a gateway says it called, the upstream's own host and paths, a
 * wire format that only one provider speaks, headers that only one provider sends, gateway path segments, routing prefixes of the model,
 * names of closed models, and last the provider whose format it is. OpenAI's format is spoken by dozens, so `openai` is the last resort.
 *
 * Adding a provider is adding a row. Names: https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/ where it has one.
 */

/** A row: its kind says what `of` is compared with. */
export type Rule =
  /** A header whose value names the provider, the provider and model, the upstream's URL, or a model that the rows for models know. */
  | {
      readonly kind: 'response-header' | 'request-header'
      readonly of: string
      readonly names: 'provider' | 'provider/model' | 'url' | 'model'
      readonly also?: Names
      /** Values that name nobody. */
      readonly unless?: RegExp
    }
  | { readonly kind: 'body'; readonly of: string; readonly also?: Names }
  /** A host; `*` is one label or a part of one, a leading dot any subdomain. Never a substring. */
  | { readonly kind: 'host'; readonly of: string; readonly provider: string; readonly path?: RegExp }
  | { readonly kind: 'path'; readonly of: RegExp; readonly provider: string }
  /** A path that names the provider itself: the expression's first group. */
  | { readonly kind: 'path-names'; readonly of: RegExp }
  | { readonly kind: 'format'; readonly of: readonly string[]; readonly provider: string }
  /** A response header that only this provider sends, also as LiteLLM passes it on. */
  | { readonly kind: 'sends'; readonly of: string; readonly provider: string }
  /** A request header that clients of this provider send. */
  | { readonly kind: 'client-sends'; readonly of: string; readonly provider: string }
  /** A whole segment of the path, as gateways mount providers. */
  | { readonly kind: 'segment'; readonly of: string; readonly provider: string }
  /** The model's first segment, as gateways route by it; not where the rest is an open model that anybody may serve. */
  | { readonly kind: 'prefix'; readonly of: string; readonly provider: string; readonly unless?: RegExp }
  | { readonly kind: 'model'; readonly of: RegExp; readonly provider: string }

/** Spellings and the provider that each means. */
export type Names = Readonly<Record<string, string>>

/** OpenRouter's "Google" is Vertex AI; the Gemini API is its "Google AI Studio". */
const openrouterNames: Names = { google: 'gcp.vertex_ai', voyageai_by_mongodb: 'voyage' }

const hosts = (provider: string, ...patterns: readonly string[]): readonly Rule[] => patterns.map((of) => ({ kind: 'host', of, provider }))
const sends = (provider: string, ...names: readonly string[]): readonly Rule[] => names.map((of) => ({ kind: 'sends', of, provider }))
const segments = (provider: string, ...names: readonly string[]): readonly Rule[] => names.map((of) => ({ kind: 'segment', of, provider }))
const prefixes = (provider: string, ...names: readonly string[]): readonly Rule[] => names.map((of) => ({ kind: 'prefix', of, provider }))

export const rules: readonly Rule[] = [
  // What a gateway says it called: Portkey, Bifrost, Cloudflare, Helicone, LiteLLM, Kong, ngrok, OpenRouter.
  { kind: 'response-header', of: 'x-portkey-provider', names: 'provider' },
  { kind: 'response-header', of: 'x-bifrost-provider', names: 'provider' },
  { kind: 'response-header', of: 'x-bifrost-routing-info-provider', names: 'provider' },
  { kind: 'response-header', of: 'cf-aig-provider', names: 'provider' },
  { kind: 'response-header', of: 'helicone-provider', names: 'provider' },
  { kind: 'response-header', of: 'x-litellm-model-api-base', names: 'url' },
  // LiteLLM routes by `openai/` also to everybody who speaks OpenAI's format.
  { kind: 'response-header', of: 'x-litellm-model-name', names: 'provider/model', unless: /^(custom_)?openai(_like)?\// },
  { kind: 'response-header', of: 'x-kong-llm-model', names: 'provider/model' },
  { kind: 'response-header', of: 'ngrok-aig-model', names: 'provider/model' },
  { kind: 'response-header', of: 'x-provider-name', names: 'provider', also: openrouterNames },
  { kind: 'body', of: 'provider', also: openrouterNames },
  // What the client told Portkey or Helicone to call. A URL that is known says more than a name.
  { kind: 'request-header', of: 'x-portkey-custom-host', names: 'url' },
  { kind: 'request-header', of: 'x-portkey-provider', names: 'provider' },
  { kind: 'request-header', of: 'helicone-target-url', names: 'url' },
  { kind: 'request-header', of: 'helicone-openai-api-base', names: 'url' },
  { kind: 'request-header', of: 'helicone-target-provider', names: 'provider' },

  // The upstream's host.
  ...hosts('openai', 'api.openai.com', '.api.openai.com', 'oai.helicone.ai'),
  ...hosts('azure.ai.openai', '.openai.azure.com', '.openai.azure.us', '.cognitiveservices.azure.com'),
  { kind: 'host', of: '.services.ai.azure.com', path: /\/openai\//, provider: 'azure.ai.openai' },
  ...hosts(
    'azure.ai.inference',
    '.services.ai.azure.com',
    '.models.ai.azure.com',
    '.inference.ai.azure.com',
    'models.inference.ai.azure.com',
  ),
  ...hosts('anthropic', 'api.anthropic.com', 'anthropic.helicone.ai'),
  ...hosts('aws.bedrock', 'bedrock-runtime.*.amazonaws.com', 'bedrock-runtime-fips.*.amazonaws.com', 'bedrock-mantle.*.api.aws'),
  ...hosts('aws.bedrock', '.bedrock-runtime.*.vpce.amazonaws.com'),
  ...hosts('gcp.gemini', 'generativelanguage.googleapis.com'),
  ...hosts(
    'gcp.vertex_ai',
    'aiplatform.googleapis.com',
    '*-aiplatform.googleapis.com',
    'aiplatform.*.rep.googleapis.com',
    'firebasevertexai.googleapis.com',
  ),
  ...hosts('cohere', 'api.cohere.com', 'api.cohere.ai'),
  ...hosts('mistral_ai', 'api.mistral.ai', 'codestral.mistral.ai'),
  ...hosts('groq', 'api.groq.com'),
  ...hosts('deepseek', 'api.deepseek.com'),
  ...hosts('x_ai', 'api.x.ai', '.api.x.ai'),
  ...hosts('perplexity', 'api.perplexity.ai'),
  ...hosts('moonshot_ai', 'api.moonshot.ai', 'api.moonshot.cn'),
  ...hosts('ibm.watsonx.ai', '.ml.cloud.ibm.com'),
  ...hosts('openrouter', 'openrouter.ai'),
  ...hosts('together_ai', 'api.together.xyz', 'api.together.ai'),
  ...hosts('fireworks_ai', 'api.fireworks.ai'),
  ...hosts('cerebras', 'api.cerebras.ai'),
  ...hosts('snowflake', '.snowflakecomputing.com'),
  ...hosts('huggingface', 'router.huggingface.co', 'api-inference.huggingface.co', '.endpoints.huggingface.cloud'),
  ...hosts('voyage', 'api.voyageai.com'),
  ...hosts('replicate', 'api.replicate.com', '.replicate.com', '.replicate.net'),
  ...hosts('aleph_alpha', 'api.aleph-alpha.com'),
  ...hosts('writer', 'api.writer.com'),
  ...hosts('z_ai', 'api.z.ai', 'open.bigmodel.cn'),
  ...hosts('alibaba', 'dashscope*.aliyuncs.com'),
  ...hosts('ollama', 'ollama.com'),
  ...hosts('crusoe', 'api.inference.crusoecloud.com'),
  ...hosts('nvidia', 'integrate.api.nvidia.com'),
  ...hosts('ai21', 'api.ai21.com'),
  ...hosts('jina', 'api.jina.ai'),
  ...hosts('deepinfra', 'api.deepinfra.com'),
  ...hosts('sambanova', 'api.sambanova.ai'),
  ...hosts('minimax', 'api.minimax.io'),
  ...hosts('databricks', '.cloud.databricks.com', '.azuredatabricks.net', '.gcp.databricks.com'),
  ...hosts('github', 'models.github.ai'),

  // Paths that only one provider has.
  { kind: 'path', of: /\/openai\/deployments\/[^/]+\//, provider: 'azure.ai.openai' },
  { kind: 'path', of: /\/models\/(chat\/completions|embeddings|images\/embeddings)\/?$/, provider: 'azure.ai.inference' },
  { kind: 'path', of: /\/projects\/[^/]+\/locations\/[^/]+\//, provider: 'gcp.vertex_ai' },
  { kind: 'path', of: /\/v1beta\/openai\//, provider: 'gcp.gemini' },
  { kind: 'path', of: /\/api\/v2\/cortex\//, provider: 'snowflake' },
  { kind: 'path', of: /\/api\/paas\/v4\//, provider: 'z_ai' },
  { kind: 'path', of: /\/compatible-mode\/v1\//, provider: 'alibaba' },
  { kind: 'path', of: /\/model\/.+\/count-tokens\/?$/, provider: 'aws.bedrock' },

  // Formats that only one provider speaks.
  { kind: 'format', of: ['bedrock-converse', 'bedrock-invoke'], provider: 'aws.bedrock' },
  { kind: 'format', of: ['gemini-interactions'], provider: 'gcp.gemini' },
  { kind: 'format', of: ['watsonx', 'watsonx-chat', 'watsonx-embeddings'], provider: 'ibm.watsonx.ai' },
  { kind: 'format', of: ['ollama'], provider: 'ollama' },
  { kind: 'format', of: ['replicate'], provider: 'replicate' },
  { kind: 'format', of: ['alephalpha'], provider: 'aleph_alpha' },

  // Headers that only one provider sends. Azure sends OpenAI's too, so it comes first.
  ...sends('azure.ai.openai', 'x-ms-region', 'x-ms-deployment-name', 'azureml-model-session'),
  ...sends('aws.bedrock', 'x-amzn-bedrock-invocation-latency'),
  ...sends('groq', 'x-groq-region'),
  ...sends('perplexity', 'x-ppl-region'),
  ...sends('mistral_ai', 'mistral-correlation-id'),
  ...sends('deepseek', 'x-ds-trace-id'),
  ...sends('gcp.gemini', 'x-gemini-service-tier'),
  ...sends('anthropic', 'anthropic-ratelimit-requests-limit', 'anthropic-organization-id'),
  ...sends('openai', 'openai-version', 'openai-organization'),

  // Cloudflare AI Gateway: /v1/{account}/{gateway}/{provider}/…; `compat` and `dynamic` name the provider in the model.
  { kind: 'path-names', of: /\/v1\/[0-9a-f]{32}\/[^/]+\/(?!(?:compat|dynamic)\/)([a-z][a-z0-9-]*)\// },

  // Where gateways mount providers: Cloudflare, Portkey, LiteLLM's pass-through, routers of one's own.
  ...segments('azure.ai.openai', 'azure-openai', 'azure'),
  ...segments('aws.bedrock', 'aws-bedrock', 'bedrock'),
  ...segments('gcp.vertex_ai', 'google-vertex-ai', 'vertex-ai', 'vertex_ai'),
  ...segments('gcp.gemini', 'google-ai-studio', 'gemini', 'google'),
  ...segments('anthropic', 'anthropic'),
  ...segments('groq', 'groq'),
  ...segments('mistral_ai', 'mistral'),
  ...segments('cohere', 'cohere'),
  ...segments('deepseek', 'deepseek'),
  ...segments('perplexity', 'perplexity-ai', 'perplexity'),
  ...segments('x_ai', 'grok', 'xai'),
  ...segments('openrouter', 'openrouter'),
  ...segments('openai', 'openai'),

  // Routing prefixes of the model, as LiteLLM, Cloudflare and Portkey write them. Vendors' names on model hubs (meta-llama/…) are none.
  { kind: 'prefix', of: 'openai', provider: 'openai', unless: /gpt-oss/ },
  ...prefixes('azure.ai.openai', 'azure'),
  ...prefixes('azure.ai.inference', 'azure_ai'),
  ...prefixes('aws.bedrock', 'bedrock', 'aws-bedrock', 'amazon-bedrock'),
  ...prefixes('anthropic', 'anthropic'),
  ...prefixes('gcp.vertex_ai', 'vertex_ai', 'vertex-ai', 'google-vertex-ai'),
  ...prefixes('gcp.gemini', 'gemini', 'google-ai-studio'),
  ...prefixes('groq', 'groq'),
  ...prefixes('mistral_ai', 'mistral'),
  ...prefixes('cohere', 'cohere', 'cohere_chat'),
  ...prefixes('deepseek', 'deepseek'),
  ...prefixes('x_ai', 'xai', 'grok'),
  ...prefixes('perplexity', 'perplexity', 'perplexity-ai'),
  ...prefixes('moonshot_ai', 'moonshot'),
  ...prefixes('ibm.watsonx.ai', 'watsonx'),
  ...prefixes('openrouter', 'openrouter'),
  ...prefixes('together_ai', 'together_ai'),
  ...prefixes('fireworks_ai', 'fireworks_ai'),
  ...prefixes('cerebras', 'cerebras'),
  ...prefixes('snowflake', 'snowflake'),
  ...prefixes('databricks', 'databricks'),
  ...prefixes('huggingface', 'huggingface'),
  ...prefixes('replicate', 'replicate'),
  ...prefixes('ollama', 'ollama', 'ollama_chat'),
  ...prefixes('vllm', 'hosted_vllm', 'vllm'),
  ...prefixes('nvidia', 'nvidia_nim'),
  ...prefixes('voyage', 'voyage', 'voyageai'),
  ...prefixes('alibaba', 'dashscope'),
  ...prefixes('z_ai', 'zai'),
  ...prefixes('cloudflare', 'workers-ai'),

  // Closed models, which nobody else serves under that bare name. Open weights (llama, mixtral, gpt-oss, deepseek-r1 …) say nothing.
  // Bedrock's ids name the vendor before a dot: us.anthropic.claude-…, openai.gpt-oss-20b-1:0.
  {
    kind: 'model',
    of: /^((us|eu|apac|jp|au|ca|global)\.)?(ai21|amazon|anthropic|cohere|deepseek|meta|mistral|openai|qwen|writer)\.[a-z]/,
    provider: 'aws.bedrock',
  },
  { kind: 'model', of: /^claude-/, provider: 'anthropic' },
  { kind: 'model', of: /^gemini-/, provider: 'gcp.gemini' },
  {
    kind: 'model',
    of: /^(gpt-(?!oss)|chatgpt-|o[134](-|$)|text-embedding-(3-|ada)|dall-e-|whisper-1$|tts-1|omni-moderation)/,
    provider: 'openai',
  },
  {
    kind: 'model',
    of: /^(mistral-(tiny|small|medium|large)-|codestral-|magistral-|ministral-|mistral-embed$|mistral-ocr-)/,
    provider: 'mistral_ai',
  },
  { kind: 'model', of: /^deepseek-(chat|reasoner)$/, provider: 'deepseek' },
  { kind: 'model', of: /^grok-/, provider: 'x_ai' },
  { kind: 'model', of: /^(sonar(-|$)|pplx-)/, provider: 'perplexity' },
  { kind: 'model', of: /^moonshot-v1/, provider: 'moonshot_ai' },
  { kind: 'model', of: /^(voyage-|rerank-[12](\.\d)?(-lite)?$)/, provider: 'voyage' },
  { kind: 'model', of: /^(command-|embed-(english|multilingual|v4)|rerank-(english|multilingual|v))/, provider: 'cohere' },
  { kind: 'model', of: /^palmyra-/, provider: 'writer' },

  // The model as a gateway names it beside the body: Envoy AI Gateway routes by the first, LiteLLM answers with the others. Envoy's
  // backend and route names are the operator's own and say nothing.
  { kind: 'request-header', of: 'x-ai-eg-model', names: 'model' },
  { kind: 'response-header', of: 'x-litellm-model-id', names: 'model' },
  { kind: 'response-header', of: 'x-litellm-model-group', names: 'model' },

  // Whose format it is, though others speak it too.
  { kind: 'format', of: ['anthropic-messages', 'anthropic-complete'], provider: 'anthropic' },
  { kind: 'format', of: ['gemini', 'gemini-embed', 'vertex-predict'], provider: 'gcp.gemini' },
  { kind: 'format', of: ['cohere-chat-v1', 'cohere-chat-v2', 'cohere-embed', 'cohere-generate', 'rerank'], provider: 'cohere' },
  { kind: 'format', of: ['mistral-conversations', 'mistral-ocr'], provider: 'mistral_ai' },
  { kind: 'path', of: /\/messages\/count_tokens\/?$/, provider: 'anthropic' },
  { kind: 'path', of: /:(count|compute)Tokens\/?$/, provider: 'gcp.gemini' },
  { kind: 'path', of: /\/v1\/(de)?tokenize\/?$/, provider: 'cohere' },
  { kind: 'path', of: /\/predictions\/[^/]+(\/cancel)?\/?$/, provider: 'replicate' },
  { kind: 'path', of: /\/interactions\/[^/]+\/?$/, provider: 'gcp.gemini' },
  { kind: 'path', of: /\/api\/(tags|ps|show)\/?$/, provider: 'ollama' },
  { kind: 'client-sends', of: 'anthropic-version', provider: 'anthropic' },
]
