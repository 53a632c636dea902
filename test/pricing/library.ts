/** Every price in the table of genai-prices. */
import { findProvider, type ModelPrice, type Provider } from '@pydantic/genai-prices'

/** The providers of interest, by the library's names. */
const providers = [
  ...['anthropic', 'avian', 'aws', 'azure', 'cerebras', 'cohere', 'deepseek', 'fireworks', 'google', 'groq', 'minimax', 'mistral'],
  ...['moonshotai', 'novita', 'openai', 'openrouter', 'ovhcloud', 'perplexity', 'together', 'voyageai', 'x-ai', 'zai'],
].map((providerId) => findProvider({ providerId }) as Provider)

interface NamedPrice {
  readonly name: string
  readonly prices: ModelPrice
}

export const everyPrice: readonly NamedPrice[] = providers.flatMap((provider) =>
  provider.models.flatMap(({ id, prices }) =>
    (Array.isArray(prices) ? prices.map((one) => one.prices) : [prices]).map((one) => ({ name: `${provider.id} ${id}`, prices: one })),
  ),
)

/** Kinds that our formats count. A price that has others too (video, pages, citations) is read without them. */
export const tokenKinds: ReadonlySet<string> = new Set([
  ...['input_mtok', 'output_mtok', 'cache_read_mtok', 'cache_write_mtok', 'cache_write_1h_mtok', 'cache_audio_read_mtok'],
  ...['cache_image_read_mtok', 'input_audio_mtok', 'input_image_mtok', 'output_audio_mtok', 'output_image_mtok', 'output_reasoning_mtok'],
  ...['requests_kcount', 'web_searches_kcount', 'storage_searches_kcount'],
])
