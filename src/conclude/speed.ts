/** How fast a stream's output came, as its reader feels it. */
import type { Ending, RequestFacts, ResponseFacts } from '../lib/exchange.ts'

/** Of so many reads the first can hide few of the tokens; below that, each read may hold so many. */
const readsEnough = 10
const tokensPerReadMax = 2
/** No model writes a token in less (50 µs are 20,000 a second): an answer that came so fast was held back or stored, and came at once. */
const msMin = 0.05

/**
 * Mean milliseconds of each output token after the first: (last − first token's time) / (output tokens − 1), as
 * `gen_ai.server.time_per_output_token` is defined. Of an answer that came whole, with its usage. Undefined where that cannot be known: no stream,
 * one token, few reads, several choices at once, tokens that are no text. Reasoning that the stream does not show came before its first token,
 * and is not counted. To a nanosecond, so that the mean over requests does not depend on the order in which they are added up.
 */
export function timePerOutputTokenMs(
  { firstToken, lastChunkMs, chunkCount }: Ending,
  request: RequestFacts | undefined,
  response: ResponseFacts | undefined,
): number | undefined {
  const usage = response?.usage
  if (firstToken === undefined || lastChunkMs === undefined || usage?.outputTokens === undefined || response?.error !== undefined)
    return undefined
  if ((request?.choiceCount ?? 1) !== 1 || response?.usageOfIterations !== undefined) return undefined
  if ((usage.outputAudioTokens ?? 0) > 0 || (usage.outputImageTokens ?? 0) > 0) return undefined
  const timed = usage.outputTokens - (firstToken.of === 'answer' ? (usage.reasoningTokens ?? 0) : 0) - 1
  if (timed < 1 || (chunkCount < readsEnough && timed > chunkCount * tokensPerReadMax)) return undefined
  const each = (lastChunkMs - firstToken.ms) / timed
  return each < msMin ? undefined : Math.round(each * 1e6) / 1e6
}
