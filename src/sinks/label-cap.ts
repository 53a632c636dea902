/** Bounds the values of a metric label: a model name is whatever a client types, and each new value would be a series for ever. */
import { type AttributeName, labelCharsMax } from '../telemetry/catalog.ts'
import type { Counter, Meter } from '../telemetry/meter.ts'

export const otherValue = 'other'

/** Of a label's places, for names that no answered request has confirmed yet. */
const unsureShare = 0.1

export interface LabelCap {
  /**
   * The value itself while the label has fewer than `valuesMax` or knows it already, else `other`. `undefined` stays `undefined`. What a request
   * that was not answered with success names need not exist (`isUnsure`): such names share a tenth of the places, and those too many are `other`
   * without being counted.
   */
  value(label: AttributeName, value: string | undefined, isUnsure?: boolean): string | undefined
  /**
   * Request and response model together: each is bounded alone, but their pairs multiply. A pair too many keeps its request model, when
   * that is known, and loses its response model.
   */
  models(
    request: string | undefined,
    response: string | undefined,
    isUnsure?: boolean,
  ): { readonly request: string | undefined; readonly response: string | undefined }
}

export function createLabelCap(valuesMax: number, meter: Meter): LabelCap {
  const known = new Map<string, { readonly sure: Set<string>; readonly unsure: Set<string> }>()
  const overflows = new Map<string, Counter>()

  function admit(label: string, value: string, isUnsure: boolean): boolean {
    let values = known.get(label)
    if (values === undefined) known.set(label, (values = { sure: new Set(), unsure: new Set() }))
    const { sure, unsure } = values
    if (sure.has(value) || (isUnsure && unsure.has(value))) return true
    if (unsure.delete(value)) {
      sure.add(value)
      return true
    }
    if (sure.size + unsure.size >= valuesMax || value.length > labelCharsMax) return false
    if (isUnsure && unsure.size >= valuesMax * unsureShare) return false
    ;(isUnsure ? unsure : sure).add(value)
    return true
  }

  function overflow(label: AttributeName): typeof otherValue {
    let counter = overflows.get(label)
    if (counter === undefined) overflows.set(label, (counter = meter.counter('tokenweir.label_overflow', { label })))
    counter.add(1)
    return otherValue
  }

  function value(label: AttributeName, given: string | undefined, isUnsure = false): string | undefined {
    if (given === undefined) return undefined
    if (admit(label, given, isUnsure)) return given
    return isUnsure ? otherValue : overflow(label)
  }

  return {
    value,
    models(request, response, isUnsure = false) {
      const requested = value('gen_ai.request.model', request, isUnsure)
      if (response === undefined) return { request: requested, response: undefined }
      if (response.length <= labelCharsMax && admit('pair', `${requested}\n${response}`, isUnsure)) return { request: requested, response }
      return { request: requested, response: isUnsure ? otherValue : overflow('gen_ai.response.model') }
    },
  }
}
