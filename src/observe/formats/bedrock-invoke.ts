/**
 * Bedrock InvokeModel: each vendor's own JSON, wrapped in `{"bytes": base64}` when it streams. What Bedrock counts is the same for all:
 * `amazon-bedrock-invocationMetrics` in the last event stands over the vendor's counts, response headers fill in for an answer without.
 * Adjustment: Bedrock's and Anthropic's input leaves cached tokens out; the conventions include them.
 * Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html,
 * https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
 */
import type { ResponseFacts, Usage } from '../../lib/exchange.ts'
import { at, count, type Json, type JsonObject, object, parseJson, string } from '../../lib/json.ts'
import { converseUsage, exceptionOf } from './bedrock-converse.ts'
import { readInvoke } from './bedrock-invoke-request.ts'
import { vendorOf } from './bedrock-vendors.ts'
import type { Format, Headers } from './format.ts'
import { errorOf, learn, sumOfKnown, usageLesson, usageOf } from './learn.ts'
import { bedrockMethod } from './paths.ts'

const metricsKey = 'amazon-bedrock-invocationMetrics'

/** Lower-case names of the headers in which Bedrock counts. */
export const tokenCountHeaders = {
  input: 'x-amzn-bedrock-input-token-count',
  output: 'x-amzn-bedrock-output-token-count',
  cacheRead: 'x-amzn-bedrock-cache-read-input-token-count',
  cacheWrite: 'x-amzn-bedrock-cache-write-input-token-count',
} as const

export const bedrockInvoke: Format = {
  name: 'bedrock-invoke',
  provider: 'aws.bedrock',
  isCertain: true,
  // The payload is base64: no key can be seen from outside.
  wantedKeys: undefined,
  claims: (method, path) => method === 'POST' && /^invoke/.test(bedrockMethod(path)?.verb ?? ''),
  recognises: (message) =>
    object(unpacked(string(at(message, 'bytes')) ?? '')) !== undefined || object(at(message, metricsKey)) !== undefined,
  readRequest(json, path) {
    const method = bedrockMethod(path)
    return readInvoke(json, method?.model, method?.verb === 'invoke-with-response-stream')
  },
  readHead(facts, headers) {
    return learn(facts, { usage: usageOfHeaders(headers) })
  },
  readResponse(facts, message, event) {
    const outer = object(message)
    if (outer === undefined) return facts
    const packed = string(outer['bytes'])
    const inner = packed === undefined ? outer : object(unpacked(packed))
    if (inner === undefined) return facts
    const learnt = readVendor(facts, inner)
    const metrics = converseUsage(inner[metricsKey])
    const told = learn(learnt, {
      ...usageLesson(metrics === undefined ? undefined : overlaidByMetrics(learnt.usage, metrics), inner[metricsKey]),
      finished: metrics === undefined ? undefined : true,
      error: errorOf(inner) ?? exceptionOf(inner, event),
    })
    // The vendor's counts and the metrics may have taken turns: what counts is whether anything is new in the end.
    return learn(facts, told)
  },
}

/**
 * What the vendor says. Its counts stand over what was known; input or output that it leaves out stays as known. The head's cache counts
 * belong to the head's input and are not mixed with a vendor's, which may include them already.
 */
function readVendor(facts: ResponseFacts, inner: JsonObject): ResponseFacts {
  const learnt = vendorOf(inner)?.read(facts, inner) ?? facts
  const { usage } = learnt
  if (usage === undefined || usage === facts.usage) return learnt
  const filled =
    usage.inputTokens === undefined
      ? { ...facts.usage, ...usage }
      : { ...usage, outputTokens: usage.outputTokens ?? facts.usage?.outputTokens }
  return learn(learnt, { usage: usageOf(filled) })
}

/**
 * Metrics without cache counts leave cached tokens out of their input, as Anthropic does: when the vendor's input less its cached tokens is
 * the metrics' input, the vendor's is the inclusive one.
 */
function overlaidByMetrics(known: Usage | undefined, metrics: Usage): Usage | undefined {
  const { cacheReadTokens = known?.cacheReadTokens, cacheWriteTokens = known?.cacheWriteTokens } = metrics
  const namesCache = metrics.cacheReadTokens !== undefined || metrics.cacheWriteTokens !== undefined
  const uncached = known?.inputTokens === undefined ? undefined : known.inputTokens - (cacheReadTokens ?? 0) - (cacheWriteTokens ?? 0)
  const vendorIncludesCache = !namesCache && uncached === metrics.inputTokens
  return usageOf({
    ...metrics,
    inputTokens: vendorIncludesCache ? known?.inputTokens : metrics.inputTokens,
    cacheReadTokens,
    cacheWriteTokens,
    reasoningTokens: known?.reasoningTokens,
  })
}

function usageOfHeaders(headers: Headers): Usage | undefined {
  const input = headerCount(headers[tokenCountHeaders.input])
  const cacheReadTokens = headerCount(headers[tokenCountHeaders.cacheRead])
  const cacheWriteTokens = headerCount(headers[tokenCountHeaders.cacheWrite])
  return usageOf({
    inputTokens: input === undefined ? undefined : sumOfKnown(input, cacheReadTokens, cacheWriteTokens),
    outputTokens: headerCount(headers[tokenCountHeaders.output]),
    cacheReadTokens,
    cacheWriteTokens,
  })
}

function headerCount(value: string | undefined): number | undefined {
  return value === undefined || !/^\d+$/.test(value) ? undefined : count(Number(value))
}

/** Base64 of JSON text. Only what is not ASCII needs a second decoding. */
function unpacked(base64: string): Json | undefined {
  try {
    const bytes = atob(base64)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the test is whether there is anything but ASCII.
    if (/^[\x00-\x7f]*$/.test(bytes)) return parseJson(bytes)
    return parseJson(new TextDecoder().decode(Uint8Array.from(bytes, (one) => one.charCodeAt(0))))
  } catch {
    return undefined
  }
}
