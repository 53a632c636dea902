/** User-Agent → the product that sent the request, in a short name without its version. */

import { remembered } from '../lib/remembered.ts'

/** What products call themselves. Sources: the clients' own code and requests. */
const known: readonly (readonly [RegExp, string])[] = [
  [/^claude-(?:cli|code)\b/i, 'claude-code'],
  [/^codex[-_](?:cli|exec|tui|vscode|mcp)?/i, 'codex'],
  [/^(?:Async)?OpenAI\/Python\b/, 'openai-python'],
  [/^(?:Async)?AzureOpenAI\/Python\b/, 'openai-python'],
  [/^(?:Azure)?OpenAI\/(?:JS|NodeJS)\b/, 'openai-node'],
  [/^OpenAI\/(\w+)/, 'openai-$1'],
  [/^(?:Async)?Anthropic(?:Bedrock|Vertex)?\/Python\b/, 'anthropic-python'],
  [/^Anthropic(?:Bedrock|Vertex)?\/JS\b/, 'anthropic-typescript'],
  [/^Anthropic\/(\w+)/, 'anthropic-$1'],
  [/^google-genai-sdk\b/i, 'google-genai'],
  [/^GeminiCLI\b/i, 'gemini-cli'],
  [/^opencode\b/i, 'opencode'],
  [/\bCursor\//, 'cursor'],
  [/^Boto3\b/i, 'boto3'],
  [/^Mozilla\//, 'browser'],
]

const lengthMax = 60

/** `codex_cli_rs/0.46.0 (Mac OS …)` → `codex`; of what nobody knows, the first product (RFC 9110 §10.1.5) in small letters. */
export const clientOf = (userAgent: string | undefined) => (userAgent === undefined ? undefined : productOf(userAgent))

const productOf = remembered((userAgent): string | undefined => {
  for (const [pattern, name] of known) {
    const found = pattern.exec(userAgent)
    if (found !== null) return name.replace('$1', (found[1] ?? '').toLowerCase())
  }
  const product = /^[\w!#$%&'*+.^`|~-]+/.exec(userAgent)?.[0].toLowerCase()
  return product === undefined || product.length > lengthMax ? undefined : product
})
