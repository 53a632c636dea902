/**
 * Whether bytes of a stream hold a token of its output, whatever the wire format: what comes before (roles, ids, the request that is said
 * again, heartbeats) is none. Pure; looks at bytes as they came, so that the moment is known without reading every event at once.
 */
import type { FirstToken } from '../lib/exchange.ts'

/** A string that is not empty, under a key by which formats name what a model writes. */
const written =
  /"(?:arguments|completion|content|delta|generated_text|generation|outputText|partial_json|refusal|response|text)"\s*:\s*"[^"]|"functionCall"\s*:/
/** Anthropic begins a block of thinking with its first token, and may show nothing of what is in it. */
const thought = /"(?:reasoning|reasoning_content|thinking)"\s*:\s*"[^"]|"type"\s*:\s*"thinking"/
/** A summary of reasoning (Gemini, OpenRouter) is no part of the output tokens, and tells nothing of when these came. */
const summary = /"thought"\s*:\s*true|"reasoning\.summary"/
/** OpenAI's Responses name each event, and begin with events that say the request again. */
const responsesWritten = /"type"\s*:\s*"response\.(?!reasoning_summary)[a-z_.]+\.delta"/
const responsesThought = /"type"\s*:\s*"response\.reasoning_text\.delta"/
/** Bedrock's InvokeModel has Anthropic's events in base64; this is how `{"type":"content_block_delta"` begins. */
const encodedDelta = 'eyJ0eXBlIjoiY29udGVudF9ibG9ja19kZWx0YSI'

/** Of more, the rest is not looked at: no event that begins an output is so long. */
const bytesMax = 65_536

/** `format`: the wire format, as far as it is known. */
export function tokenIn(bytes: Uint8Array, format: string | undefined): FirstToken['of'] | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, bytesMax)).toString('latin1')
  if (format === 'openai-responses') {
    if (!responsesWritten.test(text)) return undefined
    return responsesThought.test(text) ? 'reasoning' : 'answer'
  }
  if (summary.test(text)) return undefined
  if (thought.test(text)) return 'reasoning'
  return written.test(text) || text.includes(encodedDelta) ? 'answer' : undefined
}
