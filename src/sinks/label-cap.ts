/** Bounds the values of a metric label: a model name is whatever a client types, and each new value would be a series for ever. */
import { type AttributeName, type LabelAttribute, labelCharsMax } from '../telemetry/catalog.ts'
import type { Counter, Meter } from '../telemetry/meter.ts'

export const otherValue = 'other'

/** Of a label's places, for names of failed requests that no answered one has confirmed yet. */
const unsureShare = 0.1

/** How the upstream answered the request that names a value: with success, with a refusal (4xx), or with a failure or not at all. */
export type Answered = 'well' | 'refused' | 'failed'

export interface LabelCap {
  /**
   * The value itself while the label has fewer than `valuesMax` or knows it already, else `other`. `undefined` stays `undefined`. What a request names
   * that was not answered with success need not exist: a name of a `refused` one takes no place, those of `failed` ones share a tenth of the places.
   * Such names are `other` without being counted.
   */
  value(label: AttributeName | LabelAttribute, value: string | undefined, how?: Answered): string | undefined
  /** Whether the value has a place of its own already. */
  has(label: AttributeName | LabelAttribute, value: string): boolean
  /**
   * Request and response model together: each is bounded alone, but their pairs multiply. A pair too many keeps its request model, when
   * that is known, and loses its response model.
   */
  models(
    request: string | undefined,
    response: string | undefined,
    how?: Answered,
  ): { readonly request: string | undefined; readonly response: string | undefined }
}

export function createLabelCap(valuesMax: number, meter: Meter): LabelCap {
  const known = new Map<string, { readonly sure: Set<string>; readonly unsure: Set<string> }>()
  const overflows = new Map<string, Counter>()

  function admit(label: string, value: string, how: Answered): boolean {
    let values = known.get(label)
    if (values === undefined) known.set(label, (values = { sure: new Set(), unsure: new Set() }))
    const { sure, unsure } = values
    if (sure.has(value) || (how !== 'well' && unsure.has(value))) return true
    if (how === 'refused') return false
    if (unsure.delete(value)) {
      sure.add(value)
      return true
    }
    if (sure.size + unsure.size >= valuesMax || value.length > labelCharsMax) return false
    if (how === 'failed' && unsure.size >= valuesMax * unsureShare) return false
    ;(how === 'failed' ? unsure : sure).add(value)
    return true
  }

  function overflow(label: AttributeName | LabelAttribute): typeof otherValue {
    let counter = overflows.get(label)
    if (counter === undefined) overflows.set(label, (counter = meter.counter('tokenweir.label_overflow', { label })))
    counter.add(1)
    return otherValue
  }

  function value(label: AttributeName | LabelAttribute, given: string | undefined, how: Answered = 'well'): string | undefined {
    if (given === undefined) return undefined
    if (admit(label, given, how)) return given
    return how !== 'well' ? otherValue : overflow(label)
  }

  return {
    value,
    has(label, given) {
      const values = known.get(label)
      return values?.sure.has(given) === true || values?.unsure.has(given) === true
    },
    models(request, response, how: Answered = 'well') {
      const requested = value('gen_ai.request.model', request, how)
      if (response === undefined) return { request: requested, response: undefined }
      if (response.length <= labelCharsMax && admit('pair', `${requested}\n${response}`, how)) return { request: requested, response }
      return { request: requested, response: how !== 'well' ? otherValue : overflow('gen_ai.response.model') }
    },
  }
}
