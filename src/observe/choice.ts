/**
 * Which wire format an answer is in. The path names one or several; the shape of what comes decides among these, and where none of them
 * recognises the answer, among all others; where nobody does, its usage is still read (`usage-vocabulary.ts`). The formats that are possible
 * fold side by side, so that the one that turns out right has missed nothing. Once a format of the path has recognised a message, nothing
 * else is looked at.
 */
import type { ResponseFacts } from '../lib/exchange.ts'
import type { Json } from '../lib/json.ts'
import type { Format, Headers } from './formats/format.ts'
import { formats, formatsFor } from './formats/index.ts'
import { usageVocabulary } from './formats/usage-vocabulary.ts'
import { mayHoldUsage } from './formats/vocabulary.ts'

export interface Candidate {
  readonly format: Format
  facts: ResponseFacts
}

export interface Choice {
  /** No format claims the path. */
  readonly isByShape: boolean
  /** Nobody may be asked: no format claims the path, and only an answer to a POST tells by its shape. */
  isHopeless(): boolean
  /** A format has recognised a message. */
  isSure(): boolean
  learn(message: Json, event: string | undefined): void
  /** The format, as far as it is known by now; undefined while there is none. */
  best(): Candidate | undefined
  /** The format whose wanted keys say which messages are read: not while another one may turn out right. */
  settled(): Candidate | undefined
  /** Whether the text of a message can teach anything while nobody is sure. */
  wants(text: string): boolean
}

export function createChoice(method: string, path: string, responseHeaders: Headers): Choice {
  const claimed = formatsFor(method, path)
  let candidates: readonly Candidate[] = claimed.map((format) => ({ format, facts: format.readHead?.({}, responseHeaders) ?? {} }))
  let sure = claimed[0]?.isCertain === true
  if (sure) candidates = candidates.slice(0, 1)
  let byShape: Candidate | undefined
  const leftOver: Candidate = { format: usageVocabulary, facts: {} }
  const looksElsewhere = method === 'POST'

  /** A format of the path that recognises the message stands, unless another one has told of usage before. */
  function recognise(message: Json, event: string | undefined): void {
    const found = candidates.find(({ format }) => format.recognises(message, event))
    if (found === undefined) return
    candidates = [found]
    sure = true
  }

  function learnElsewhere(message: Json, event: string | undefined): void {
    const format = byShape === undefined ? formats.find((one) => isOther(one) && one.recognises(message, event)) : undefined
    if (format !== undefined) byShape = { format, facts: {} }
    for (const one of [byShape, leftOver]) if (one !== undefined) one.facts = one.format.readResponse(one.facts, message, event)
  }

  const isOther = (format: Format) => !claimed.includes(format)
  const knowsUsage = (one: Candidate | undefined) => one?.facts.usage !== undefined

  function best(): Candidate | undefined {
    const own = candidates.find(knowsUsage) ?? candidates[0]
    if (sure || knowsUsage(own)) return own
    if (knowsUsage(byShape)) return byShape
    if (knowsUsage(leftOver)) return leftOver
    return byShape ?? candidates.find(({ format }) => format.isHint?.(path) !== true)
  }

  return {
    isByShape: claimed.length === 0,
    isHopeless: () => claimed.length === 0 && !looksElsewhere,
    isSure: () => sure || (claimed.length === 0 && byShape !== undefined),
    learn(message, event) {
      if (!sure) recognise(message, event)
      for (const candidate of candidates) candidate.facts = candidate.format.readResponse(candidate.facts, message, event)
      if (!sure && looksElsewhere) learnElsewhere(message, event)
    },
    best,
    settled() {
      if (sure || !looksElsewhere) return candidates.length === 1 ? candidates[0] : undefined
      return claimed.length === 0 ? byShape : undefined
    },
    wants: (text) => mayHoldUsage(text) || candidates.some(({ format }) => format.wantedKeys?.some((key) => text.includes(`"${key}"`))),
  }
}

/** The same for a whole body. */
export function chosenForBody(method: string, path: string, responseHeaders: Headers, body: Json): Candidate | undefined {
  const choice = createChoice(method, path, responseHeaders)
  choice.learn(body, undefined)
  return choice.best()
}
