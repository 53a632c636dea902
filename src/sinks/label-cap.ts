/** Bounds the values of a metric label: a model name is whatever a client types, and each new value would be a series for ever. */
import { type AttributeName, labelCharsMax } from '../telemetry/catalog.ts'
import type { Counter, Meter } from '../telemetry/meter.ts'

export const otherValue = 'other'

export interface LabelCap {
  /** The value itself while the label has fewer than `valuesMax` or knows it already, else `other`. `undefined` stays `undefined`. */
  value(label: AttributeName, value: string | undefined): string | undefined
  /**
   * Request and response model together: each is bounded alone, but their pairs multiply. A pair too many keeps its request model, when
   * that is known, and loses its response model.
   */
  models(
    request: string | undefined,
    response: string | undefined,
  ): { readonly request: string | undefined; readonly response: string | undefined }
}

export function createLabelCap(valuesMax: number, meter: Meter): LabelCap {
  const known = new Map<string, Set<string>>()
  const overflows = new Map<string, Counter>()

  function admit(label: string, value: string): boolean {
    let values = known.get(label)
    if (values === undefined) known.set(label, (values = new Set()))
    if (values.has(value)) return true
    if (values.size >= valuesMax || value.length > labelCharsMax) return false
    values.add(value)
    return true
  }

  function overflow(label: AttributeName): typeof otherValue {
    let counter = overflows.get(label)
    if (counter === undefined) overflows.set(label, (counter = meter.counter('tokenweir.label_overflow', { label })))
    counter.add(1)
    return otherValue
  }

  function value(label: AttributeName, given: string | undefined): string | undefined {
    if (given === undefined) return undefined
    return admit(label, given) ? given : overflow(label)
  }

  return {
    value,
    models(request, response) {
      const requested = value('gen_ai.request.model', request)
      if (response === undefined) return { request: requested, response: undefined }
      if (response.length <= labelCharsMax && admit('pair', `${requested}\n${response}`)) return { request: requested, response }
      return { request: requested, response: overflow('gen_ai.response.model') }
    },
  }
}
