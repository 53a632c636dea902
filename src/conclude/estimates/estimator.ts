/**
 * Estimates of tokens where the provider reported none, when they are switched on. Made on the recorder's thread by a tokenizer that knows
 * OpenAI's vocabulary (o200k_base), whatever the model: of the beginning of the text exactly, of the rest by the same ratio. Loading it takes
 * 400 ms of CPU and 80 MB. An estimate never becomes usage: it has fields of its own everywhere, and no cost is made of it.
 */

import type { Exchange, Opening, TextSample } from '../../lib/exchange.ts'
import { type Json, parseJson } from '../../lib/json.ts'
import { decodeWhole } from '../../observe/decode/decode.ts'
import { addRead, addWritten, createTextCollector } from '../../observe/texts.ts'

export interface Estimator {
  /** Loads the tokenizer. Until then, and when it rejects, nothing is estimated. */
  load(): Promise<void>
  /** What the model is given to read. */
  textOfRequest(opening: Opening, body: Uint8Array | undefined): TextSample | undefined
  /** The exchange with what could be estimated, and in any case without the text that its ending brought. Never throws. */
  estimated(exchange: Exchange, requestText: TextSample | undefined, responseBody: Uint8Array | undefined): Exchange
}

export interface EstimatorOptions {
  /** Bytes of a body, decoded. */
  readonly bodyBytesMax: number
  readonly loadTokenizer?: () => Promise<CountTokens>
}

type CountTokens = (text: string) => number

/** `estimated` of these only: a count that was reported needs no estimate. */
const wanting: ReadonlySet<string | undefined> = new Set(['missing', 'partial', 'undecodable'])

export function createEstimator({ bodyBytesMax, loadTokenizer = loadO200k }: EstimatorOptions): Estimator {
  let count: CountTokens | undefined

  function jsonOf(encoding: string | undefined, body: Uint8Array | undefined): Json | undefined {
    const decoded = body === undefined ? 'none' : decodeWhole(encoding, body, bodyBytesMax)
    return typeof decoded === 'string' ? undefined : parseJson(Buffer.from(decoded).toString('utf8'))
  }

  function textOf(json: Json | undefined, add: typeof addRead): TextSample | undefined {
    const collector = createTextCollector()
    if (json !== undefined) add(collector, json)
    return collector.sample()
  }

  function tokens(text: TextSample | undefined): number | undefined {
    if (text === undefined || count === undefined) return undefined
    return Math.round((count(text.beginning) * text.characters) / text.beginning.length)
  }

  function estimate(exchange: Exchange, requestText: TextSample | undefined, responseBody: Uint8Array | undefined): Partial<Exchange> {
    const { ending, response, usageOutcome } = exchange
    if (!wanting.has(usageOutcome)) return {}
    const outputText = ending.outputText ?? textOf(jsonOf(ending.contentEncoding, responseBody), addWritten)
    return {
      estimatedInputTokens: response?.usage?.inputTokens === undefined ? tokens(requestText) : undefined,
      estimatedOutputTokens: response?.usage?.outputTokens === undefined ? tokens(outputText) : undefined,
    }
  }

  return {
    async load() {
      count = await loadTokenizer()
    },
    textOfRequest: (opening, body) => textOf(jsonOf(opening.requestHeaders['content-encoding'], body), addRead),
    estimated(exchange, requestText, responseBody) {
      const { outputText: _text, ...ending } = exchange.ending
      try {
        return { ...exchange, ending, ...estimate(exchange, requestText, responseBody) }
      } catch {
        return { ...exchange, ending }
      }
    },
  }
}

async function loadO200k(): Promise<CountTokens> {
  const { countTokens } = await import('gpt-tokenizer/encoding/o200k_base')
  // What looks like a control token is text here.
  const options = { disallowedSpecial: new Set<string>() }
  return (text) => countTokens(text, options)
}
