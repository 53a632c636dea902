/**
 * Who signs an answer in OpenAI's shape, where the body itself tells: by a name, or by a key that only one service or server has. One row each.
 */
import { array, at, count, type JsonObject, object, text } from '../../lib/json.ts'

interface Mark {
  readonly provider: string
  readonly of: (body: JsonObject) => boolean
}

const fingerprint = (body: JsonObject) => text(body['system_fingerprint']) ?? ''

const marks: readonly Mark[] = [
  { provider: 'groq', of: (body) => object(body['x_groq']) !== undefined },
  { provider: 'venice', of: (body) => object(body['venice_parameters']) !== undefined || at(body, 'cost', 'diem') !== undefined },
  { provider: 'minimax', of: (body) => object(body['base_resp']) !== undefined },
  { provider: 'github_copilot', of: (body) => object(body['copilot_usage']) !== undefined },
  { provider: 'vercel', of: (body) => /^gen_[0-9A-Z]{26}$/.test(text(body['generationId']) ?? '') },
  { provider: 'openrouter', of: (body) => /^gen-\d{10}-/.test(text(body['id']) ?? '') },
  // Servers that people run themselves.
  { provider: 'ollama', of: (body) => fingerprint(body) === 'fp_ollama' },
  { provider: 'gpustack', of: (body) => at(body, 'usage', 'time_to_first_token_ms') !== undefined },
  {
    provider: 'llama.cpp',
    of: (body) => /^b\d+-[0-9a-f]{6,}$/.test(fingerprint(body)) || count(at(body, 'timings', 'predicted_n')) !== undefined,
  },
  { provider: 'tgi', of: (body) => /^\d+\.\d+\.\d+.*-native$/.test(fingerprint(body)) },
  { provider: 'mistral.rs', of: (body) => at(body, 'usage', 'avg_compl_tok_per_sec') !== undefined },
]

/** The name as it stands, or the provider of the first mark. */
export function signatureOf(body: JsonObject): string | undefined {
  const named = text(body['provider']) ?? routedBy(body)
  return named ?? marks.find(({ of }) => of(body))?.provider
}

/** Vercel's AI Gateway names the provider that it chose in the message. */
function routedBy(body: JsonObject): string | undefined {
  const choice = array(body['choices'])?.[0]
  for (const holder of [at(choice, 'message'), at(choice, 'delta'), body]) {
    const routing = at(holder, 'provider_metadata', 'gateway', 'routing')
    const name = text(at(routing, 'finalProvider')) ?? text(at(routing, 'resolvedProvider'))
    if (name !== undefined) return name
  }
  return undefined
}
