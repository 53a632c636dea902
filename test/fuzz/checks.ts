/** What must hold of whatever comes out of damaged bytes. Each check throws a `Broken` that says what does not. */

import { endColumns } from '../../src/ledger/columns.ts'
import type { Exchange, ResponseFacts, Usage } from '../../src/lib/exchange.ts'
import { logLine } from '../../src/sinks/log.ts'
import { spanContent } from '../../src/telemetry/attributes.ts'

export class Broken extends Error {}

export function must(condition: boolean, what: string | (() => string)): asserts condition {
  if (!condition) throw new Broken(typeof what === 'string' ? what : what())
}

const counts = ['inputTokens', 'outputTokens', 'cacheReadTokens', 'cacheWriteTokens', 'reasoningTokens', 'totalTokens'] as const
/** Characters of everything that is kept of one answer. */
const factsLengthMax = 32 * 1024

function checkUsage(usage: Usage | undefined, of: string): void {
  if (usage === undefined) return
  for (const name of counts) {
    const count = usage[name]
    must(count === undefined || (Number.isSafeInteger(count) && count >= 0), () => `${of}.${name} is ${count}`)
  }
}

export function checkFacts(facts: ResponseFacts | undefined): void {
  if (facts === undefined) return
  checkUsage(facts.usage, 'usage')
  checkUsage(facts.usageOfIterations, 'usageOfIterations')
  for (const name of ['id', 'model', 'serviceTier', 'systemFingerprint', 'provider'] as const) {
    const text = facts[name]
    must(text === undefined || (typeof text === 'string' && text !== ''), () => `${name} is ${JSON.stringify(text)}`)
  }
  const reasons = facts.finishReasons
  must(
    reasons === undefined || (reasons.length <= 128 && reasons.every((reason) => typeof reason === 'string')),
    () => `${reasons?.length} finish reasons: ${JSON.stringify(reasons).slice(0, 300)}`,
  )
  must(facts.error === undefined || typeof facts.error.type === 'string', () => `error is ${JSON.stringify(facts.error)}`)
  const length = JSON.stringify(facts).length
  must(length <= factsLengthMax, () => `${length} characters of facts are kept`)
}

/** The record, and every view of it: span, log line, ledger row. */
export function checkExchange(exchange: Exchange): void {
  checkFacts(exchange.response)
  const { usageOutcome, usageReason, response } = exchange
  const hasUsage = response?.usage !== undefined
  must(
    !hasUsage || usageOutcome === undefined || ['reported', 'zero', 'partial'].includes(usageOutcome),
    () => `usage, but ${usageOutcome}`,
  )
  must(usageOutcome !== 'reported' || hasUsage, 'reported, but no usage')
  must((usageReason === undefined) === (usageOutcome === undefined || usageOutcome === 'reported' || usageOutcome === 'zero'), () => {
    return `${usageOutcome} with the reason ${usageReason}`
  })
  for (const generation of ['1.41', 'genai'] as const) {
    for (const [name, value] of Object.entries(spanContent(exchange, generation).attributes)) {
      must(typeof value !== 'number' || Number.isFinite(value), () => `the span's ${name} is ${value}`)
    }
  }
  JSON.parse(logLine(exchange))
  for (const { name, type, ofExchange } of endColumns) {
    const value = ofExchange(exchange)
    const fits = value === undefined || value === null || (type === 'TEXT' ? typeof value === 'string' : typeof value === 'number')
    must(fits && (type !== 'INTEGER' || value === undefined || Number.isSafeInteger(value)), () => `the column ${name} is ${value}`)
  }
}
