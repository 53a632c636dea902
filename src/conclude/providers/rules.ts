/**
 * Which provider answered: `gen_ai.provider.name`. One ordered table; the first row that matches decides, and its name is returned with the
 * provider, so that a wrong attribution can be traced to its row. A route's explicit setting stands above every row.
 *
 * The order is from what names the provider to what merely suggests it: what a gateway says it called, the upstream's own host and paths, a
 * wire format that only one provider speaks, headers that only one provider sends, gateway path segments, routing prefixes of the model,
 * names of closed models, and last the provider whose format it is. OpenAI's format is spoken by dozens and names nobody: `unknown` is honest.
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
  | { readonly kind: 'format'; readonly of: readonly string[]; readonly provider: string; readonly model?: RegExp }
  /** A response header that only this provider sends, also as LiteLLM passes it on. */
  | { readonly kind: 'sends'; readonly of: string; readonly provider: string }
  /** A request header that clients of this provider send. */
  | { readonly kind: 'client-sends'; readonly of: string; readonly provider: string; readonly model?: RegExp }
  /** A whole segment of the path, as gateways mount providers. */
  /** `model`: only for such models, where the request names one: a path of the same spelling is that of a format, which others speak too. */
  | { readonly kind: 'segment'; readonly of: string; readonly provider: string; readonly model?: RegExp }
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

/** Anthropic's API in front of other models, whose names tell that it is not Anthropic that answers. */
const notOfOthers = /^(?!.*(qwen|glm|kimi|deepseek|minimax|gpt|llama|mi[sx]tral|gemma|gemini|grok|nova-|phi-))/i

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

  // The model as the AI SDK names it to Vercel's gateway: the provider is asked for, and the body names the one that answered.
  { kind: 'request-header', of: 'ai-language-model-id', names: 'provider/model' },
  { kind: 'request-header', of: 'ai-embedding-model-id', names: 'provider/model' },
  { kind: 'request-header', of: 'ai-model-id', names: 'provider/model' },

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
  ...hosts('minimax', 'api.minimax.io', 'api.minimax.chat', 'api.minimaxi.com', 'api.minimaxi.chat'),
  ...hosts('github_copilot', 'api.githubcopilot.com', '.githubcopilot.com', 'copilot-proxy.githubusercontent.com'),
  { kind: 'host', of: 'chatgpt.com', path: /\/backend-api\//, provider: 'openai' },
  ...hosts('vercel', 'ai-gateway.vercel.sh'),
  ...hosts('venice', 'api.venice.ai'),
  ...hosts('volcengine', 'ark.*.volces.com', 'ark.*.bytepluses.com', 'ark.*.byteplusapi.com'),
  ...hosts(
    'tencent',
    'api.hunyuan.cloud.tencent.com',
    'hunyuan.tencentcloudapi.com',
    '.lkeap.cloud.tencent.com',
    '.lkeap.cloud.tencentcloud.com',
  ),
  ...hosts('nebius', 'api.studio.nebius.com', 'api.studio.nebius.ai', 'api.tokenfactory.nebius.com', 'api.tokenfactory.*.nebius.com'),
  ...hosts('novita', 'api.novita.ai'),
  ...hosts('siliconflow', 'api.siliconflow.cn', 'api.siliconflow.com', 'api-st.siliconflow.cn'),
  ...hosts('stepfun', 'api.stepfun.com', 'api.stepfun.ai'),
  ...hosts('baseten', 'inference.baseten.co', '.api.baseten.co'),
  ...hosts('hyperbolic', 'api.hyperbolic.xyz'),
  ...hosts('ovhcloud', '.ai.cloud.ovh.net'),
  ...hosts('scaleway', 'api.scaleway.ai', '.ifr.fr-par.scaleway.com'),
  ...hosts('upstage', 'api.upstage.ai'),
  { kind: 'host', of: 'api.cloudflare.com', path: /\/ai\//, provider: 'cloudflare' },
  ...hosts('aws.sagemaker', 'runtime.sagemaker.*.amazonaws.com', 'runtime-fips.sagemaker.*.amazonaws.com'),
  ...hosts('aws.bedrock', 'bedrock-agent-runtime.*.amazonaws.com'),
  ...hosts('gcp.gemini', 'cloudcode-pa.googleapis.com', '*-cloudcode-pa.googleapis.com', '*-cloudcode-pa.sandbox.googleapis.com'),
  ...hosts('baidu', 'qianfan.baidubce.com', 'aip.baidubce.com', 'api.baidubce.com'),
  ...hosts('iflytek', '.xf-yun.com'),
  ...hosts('baichuan', 'api.baichuan-ai.com'),
  ...hosts('01_ai', 'api.lingyiwanwu.com', 'api.01.ai'),
  ...hosts('coze', 'api.coze.cn', 'api.coze.com'),
  ...hosts('dify', 'api.dify.ai'),
  ...hosts('yandex', 'llm.api.cloud.yandex.net', 'ai.api.cloud.yandex.net'),
  ...hosts('doubleword', 'api.doubleword.ai'),
  ...hosts('chutes', 'llm.chutes.ai'),
  ...hosts('lambda', 'api.lambda.ai', 'api.lambdalabs.com'),
  ...hosts('friendli', 'api.friendli.ai', '.friendli.ai'),
  ...hosts('featherless', 'api.featherless.ai'),
  ...hosts('parasail', 'api.parasail.io'),
  ...hosts('inception', 'api.inceptionlabs.ai'),
  ...hosts('nscale', 'inference.api.nscale.com'),
  ...hosts('digitalocean', 'inference.do-ai.run', '.agents.do-ai.run'),
  ...hosts('wandb', 'api.inference.wandb.ai'),
  ...hosts('meta', 'api.llama.com'),
  ...hosts('poe', 'api.poe.com'),
  ...hosts('requesty', 'router.requesty.ai'),
  ...hosts('oracle', 'inference.generativeai.*.oci.oraclecloud.com'),
  ...hosts('sber', 'gigachat.devices.sberbank.ru'),
  ...hosts('databricks', '.cloud.databricks.com', '.azuredatabricks.net', '.gcp.databricks.com'),
  ...hosts('github', 'models.github.ai'),

  // Paths that only one provider has.
  { kind: 'path', of: /\/openai\/deployments\/[^/]+\//, provider: 'azure.ai.openai' },
  { kind: 'path', of: /\/models\/(chat\/completions|embeddings|images\/embeddings)\/?$/, provider: 'azure.ai.inference' },
  { kind: 'path', of: /\/projects\/[^/]+\/locations\/[^/]+\//, provider: 'gcp.vertex_ai' },
  // Vertex AI's express mode, with a key instead of a project.
  { kind: 'path', of: /\/publishers\/[a-z-]+\/models\/[^/]+:[A-Za-z]+\/?$/, provider: 'gcp.vertex_ai' },
  { kind: 'path', of: /\/v1internal(\/[^:]*)?:[A-Za-z]+\/?$/, provider: 'gcp.gemini' },
  { kind: 'path', of: /\/ws\/google\.cloud\.aiplatform\./, provider: 'gcp.vertex_ai' },
  { kind: 'path', of: /\/backend-api\/codex\//, provider: 'openai' },
  { kind: 'path', of: /\/text\/chatcompletion(_v2|_pro)\/?$/, provider: 'minimax' },
  {
    kind: 'path',
    of: /\/api\/v3\/(chat\/completions|bots\/chat\/completions|embeddings\/multimodal|contents\/generations)/,
    provider: 'volcengine',
  },
  { kind: 'path', of: /\/rpc\/2\.0\/ai_custom\/v1\/wenxinworkshop\//, provider: 'baidu' },
  { kind: 'path', of: /\/endpoints\/[^/]+\/invocations(-response-stream)?\/?$/, provider: 'aws.sagemaker' },
  { kind: 'path', of: /\/accounts\/[^/]+\/ai\/(run|v1)\//, provider: 'cloudflare' },
  { kind: 'path', of: /\/v1beta\/openai\//, provider: 'gcp.gemini' },
  { kind: 'path', of: /\/api\/v2\/cortex\//, provider: 'snowflake' },
  { kind: 'path', of: /\/api\/(coding\/)?paas\/v4\//, provider: 'z_ai' },
  { kind: 'path', of: /\/compatible-mode\/v1\//, provider: 'alibaba' },
  { kind: 'path', of: /\/model\/.+\/count-tokens\/?$/, provider: 'aws.bedrock' },

  // Formats that only one provider speaks.
  { kind: 'format', of: ['bedrock-converse', 'bedrock-invoke', 'bedrock-agent'], provider: 'aws.bedrock' },
  { kind: 'format', of: ['gemini-interactions', 'gemini-live'], provider: 'gcp.gemini' },
  { kind: 'format', of: ['watsonx', 'watsonx-chat', 'watsonx-embeddings'], provider: 'ibm.watsonx.ai' },
  { kind: 'format', of: ['ollama'], provider: 'ollama' },
  { kind: 'format', of: ['replicate'], provider: 'replicate' },
  { kind: 'format', of: ['alephalpha'], provider: 'aleph_alpha' },
  { kind: 'format', of: ['dashscope'], provider: 'alibaba' },
  { kind: 'format', of: ['vercel-ai'], provider: 'vercel' },
  { kind: 'format', of: ['workers-ai'], provider: 'cloudflare' },
  { kind: 'format', of: ['lmstudio-chat'], provider: 'lmstudio' },
  { kind: 'format', of: ['llamacpp-completion'], provider: 'llama.cpp' },
  { kind: 'format', of: ['sglang-generate'], provider: 'sglang' },
  { kind: 'format', of: ['dify'], provider: 'dify' },
  { kind: 'format', of: ['coze'], provider: 'coze' },
  { kind: 'format', of: ['yandexgpt'], provider: 'yandex' },
  { kind: 'format', of: ['deepinfra-inference'], provider: 'deepinfra' },
  { kind: 'format', of: ['qianfan'], provider: 'baidu' },
  { kind: 'format', of: ['tgi'], provider: 'tgi' },

  // Headers that only one provider sends. Azure sends OpenAI's too, so it comes first.
  ...sends('azure.ai.openai', 'x-ms-region', 'x-ms-deployment-name', 'azureml-model-session'),
  ...sends('aws.bedrock', 'x-amzn-bedrock-invocation-latency'),
  ...sends('groq', 'x-groq-region'),
  ...sends('perplexity', 'x-ppl-region'),
  ...sends('mistral_ai', 'mistral-correlation-id'),
  ...sends('deepseek', 'x-ds-trace-id'),
  ...sends('gcp.gemini', 'x-gemini-service-tier'),
  ...sends('openrouter', 'x-generation-id'),
  ...sends('anthropic', 'anthropic-ratelimit-requests-limit', 'anthropic-organization-id'),
  ...sends('openai', 'openai-version', 'openai-organization'),

  // Cloudflare AI Gateway: /v1/{account}/{gateway}/{provider}/…; `compat` and `dynamic` name the provider in the model.
  { kind: 'path-names', of: /\/v1\/[0-9a-f]{32}\/[^/]+\/(?!(?:compat|dynamic)\/)([a-z][a-z0-9-]*)\// },

  // Where gateways mount providers: Cloudflare, Portkey, LiteLLM's pass-through, routers of one's own.
  ...segments('azure.ai.openai', 'azure-openai', 'azure'),
  ...segments('aws.bedrock', 'aws-bedrock', 'bedrock'),
  ...segments('gcp.vertex_ai', 'google-vertex-ai', 'vertex-ai', 'vertex_ai'),
  ...segments('gcp.gemini', 'google-ai-studio', 'gemini', 'google'),
  { kind: 'segment', of: 'anthropic', provider: 'anthropic', model: /claude|^anthropic[./]/ },
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
  ...prefixes('cloudflare', 'workers-ai', '@cf'),
  ...prefixes('github_copilot', 'github_copilot'),
  ...prefixes('deepinfra', 'deepinfra'),
  ...prefixes('volcengine', 'volcengine'),
  ...prefixes('nebius', 'nebius'),
  ...prefixes('novita', 'novita'),
  ...prefixes('hyperbolic', 'hyperbolic'),
  ...prefixes('vercel', 'vercel_ai_gateway'),
  ...prefixes('aws.sagemaker', 'sagemaker', 'sagemaker_chat'),
  ...prefixes('sambanova', 'sambanova'),
  ...prefixes('lmstudio', 'lm_studio'),
  { kind: 'model', of: /^accounts\/fireworks\/(models|routers)\//, provider: 'fireworks_ai' },

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
  { kind: 'model', of: /^(codex-|o\d(-|$)|computer-use-preview|sora-|(text-)?davinci-|babbage-)/, provider: 'openai' },
  {
    kind: 'model',
    of: /^(mistral-(tiny|small|medium|large)-|codestral-|magistral-|ministral-|mistral-embed$|mistral-ocr-)/,
    provider: 'mistral_ai',
  },
  // Its own names; those of the open weights (deepseek-v3.1 …) are used by whoever serves them.
  { kind: 'model', of: /^deepseek-(chat|reasoner|coder|v4-(flash|pro))$/, provider: 'deepseek' },
  { kind: 'model', of: /^grok-/, provider: 'x_ai' },
  { kind: 'model', of: /^(sonar(-|$)|pplx-)/, provider: 'perplexity' },
  { kind: 'model', of: /^(moonshot-v1|kimi-(latest|thinking-preview|k[23].*-(preview|turbo)))/, provider: 'moonshot_ai' },
  { kind: 'model', of: /^(doubao-|ep-20\d{12}-)/i, provider: 'volcengine' },
  { kind: 'model', of: /^hunyuan-(?!a13b|large$|0\.5b|1\.8b|4b|7b|mt)/, provider: 'tencent' },
  {
    kind: 'model',
    of: /^(qwen-(max|plus|turbo|long|flash|vl-(max|plus|ocr)|omni-turbo|coder-(plus|turbo))|qwen3-(max|coder-plus|vl-plus)|qwq-plus|qvq-max)/,
    provider: 'alibaba',
  },
  { kind: 'model', of: /^(glm-4-(plus|air|airx|flash|flashx|long)|glm-4\.5-(x|airx|flash)|charglm-)/, provider: 'z_ai' },
  { kind: 'model', of: /^(minimax-(m\d|text-01|hailuo)|abab\d)/i, provider: 'minimax' },
  { kind: 'model', of: /^step-(\d|r1)/, provider: 'stepfun' },
  { kind: 'model', of: /^ernie-(4\.0|3\.5|speed|lite|tiny|x1|5|4\.5-turbo)/i, provider: 'baidu' },
  { kind: 'model', of: /^Baichuan\d/i, provider: 'baichuan' },
  { kind: 'model', of: /^yi-(large|lightning|medium|vision)/, provider: '01_ai' },
  { kind: 'model', of: /^solar-(pro|mini)/, provider: 'upstage' },
  { kind: 'model', of: /^(gpt:\/\/|emb:\/\/)|^yandexgpt/, provider: 'yandex' },
  { kind: 'model', of: /^GigaChat/i, provider: 'sber' },
  { kind: 'model', of: /^mercury(-|$)/, provider: 'inception' },
  { kind: 'model', of: /^(voyage-|rerank-[12](\.\d)?(-lite)?$)/, provider: 'voyage' },
  { kind: 'model', of: /^(command-|embed-(english|multilingual|v4)|rerank-(english|multilingual|v))/, provider: 'cohere' },
  { kind: 'model', of: /^palmyra-/, provider: 'writer' },

  // The model as a gateway names it beside the body: Envoy AI Gateway routes by the first, LiteLLM answers with the others. Envoy's
  // backend and route names are the operator's own and say nothing.
  { kind: 'request-header', of: 'x-ai-eg-model', names: 'model' },
  { kind: 'response-header', of: 'x-litellm-model-id', names: 'model' },
  { kind: 'response-header', of: 'x-litellm-model-group', names: 'model' },

  // Whose format it is, though others speak it too.
  { kind: 'format', of: ['anthropic-messages', 'anthropic-complete'], provider: 'anthropic', model: notOfOthers },
  { kind: 'format', of: ['gemini', 'gemini-embed', 'vertex-predict'], provider: 'gcp.gemini' },
  { kind: 'format', of: ['cohere-chat-v1', 'cohere-chat-v2', 'cohere-embed', 'cohere-generate', 'rerank'], provider: 'cohere' },
  { kind: 'format', of: ['mistral-conversations', 'mistral-ocr'], provider: 'mistral_ai' },
  { kind: 'path', of: /\/messages\/count_tokens\/?$/, provider: 'anthropic' },
  { kind: 'path', of: /:(count|compute)Tokens\/?$/, provider: 'gcp.gemini' },
  { kind: 'path', of: /\/v1\/(de)?tokenize\/?$/, provider: 'cohere' },
  { kind: 'path', of: /\/predictions\/[^/]+(\/cancel)?\/?$/, provider: 'replicate' },
  { kind: 'path', of: /\/interactions\/[^/]+\/?$/, provider: 'gcp.gemini' },
  { kind: 'path', of: /\/api\/(tags|ps|show)\/?$/, provider: 'ollama' },
  { kind: 'client-sends', of: 'anthropic-version', provider: 'anthropic', model: notOfOthers },
  { kind: 'client-sends', of: 'copilot-integration-id', provider: 'github_copilot' },
]
