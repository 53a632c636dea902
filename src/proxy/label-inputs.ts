/** What labels need of a request's target. */
import { inputKey, labelValueCharsMax } from '../config/labels.ts'
import type { Opening } from '../lib/exchange.ts'

/** Of the opening: what the query says, under the keys of `inputKey`. */
export function queryInputs(target: string, names: readonly string[]): Opening['labelInputs'] {
  const query = target.indexOf('?')
  if (query < 0 || names.length === 0) return undefined
  const parameters = new URLSearchParams(target.slice(query + 1))
  let inputs: Record<string, string> | undefined
  for (const name of names) {
    const value = parameters.get(name)
    if (value === null) continue
    inputs ??= {}
    inputs[inputKey({ kind: 'query', name })] = value.slice(0, labelValueCharsMax + 1)
  }
  return inputs
}
