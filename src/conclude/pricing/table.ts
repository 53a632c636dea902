/**
 * Public prices, from the table that comes with genai-prices. Nothing is fetched: a newer table comes with a newer version of the package.
 * Loading it takes 70 ms of CPU and 20 MB, so it is loaded with the first request that has ended.
 */
import { type Plan, planOf } from './plan.ts'

/** Our name of a provider → the table's. Whoever is not here is looked up by the same name, and never by one that merely resembles it. */
const tableNames: Readonly<Record<string, string>> = {
  'aws.bedrock': 'aws',
  'azure.ai.inference': 'azure',
  'azure.ai.openai': 'azure',
  'gcp.gemini': 'google',
  'gcp.vertex_ai': 'google',
  fireworks_ai: 'fireworks',
  mistral_ai: 'mistral',
  moonshot_ai: 'moonshotai',
  together_ai: 'together',
  voyage: 'voyageai',
  x_ai: 'x-ai',
  z_ai: 'zai',
}

/** OpenAI gives these weights away and does not serve them: behind its format is a server of one's own. */
const servedByOthers = /gpt-oss/i

export interface PriceTable {
  /** The plan of the first model that the table knows. `at` in milliseconds since the epoch. */
  find(provider: string, models: readonly (string | undefined)[], at: number): Found | undefined
}

export interface Found {
  readonly plan: Plan
  /** The price holds at certain dates or hours only, so the answer is good for a minute. */
  readonly changes: boolean
}

export async function loadPriceTable(): Promise<PriceTable> {
  const { calcPrice, findProvider } = await import('@pydantic/genai-prices')

  function lookUp(providerId: string, model: string, at: number): Found | undefined {
    try {
      const found = calcPrice({}, model, { providerId, timestamp: new Date(at) })
      const plan = found === null ? undefined : planOf(found.model_price)
      return found === null || plan === undefined ? undefined : { plan, changes: Array.isArray(found.model.prices) }
    } catch {
      return undefined
    }
  }

  return {
    find(provider, models, at) {
      const providerId = tableNames[provider] ?? provider
      if (findProvider({ providerId })?.id !== providerId) return undefined
      for (const model of models) {
        if (model === undefined || (provider === 'openai' && servedByOthers.test(model))) continue
        for (const spelling of spellingsOf(model)) {
          const found = lookUp(providerId, spelling, at)
          if (found !== undefined) return found
        }
      }
      return undefined
    },
  }
}

/** As it came, and without what stands before its last slash: `models/gemini-…`, `openai/gpt-…`, the ARN of an inference profile. */
function spellingsOf(model: string): readonly string[] {
  const last = model.slice(model.lastIndexOf('/') + 1)
  return last === model || last === '' ? [model] : [model, last]
}
