/** The values of `budgets`: what may be spent by whom, and within which time. */
import { fail, isMapping, ValueError } from './values.ts'

/** Only what has one of these values counts; `''` is a value that is not known. */
export type BudgetWhere = Readonly<Record<string, readonly string[]>>

const whereHelp = 'Write provider, model, caller, route or label:NAME with a value: {label:team: search}.'

/** A mapping of a dimension to its value, or to several. */
export function budgetWhere(value: unknown): BudgetWhere {
  if (!isMapping(value)) return fail(value, 'is no mapping', whereHelp)
  return Object.fromEntries(
    Object.entries(value).map(([dimension, given]) => {
      if (!/^(provider|model|caller|route|label:[a-z][a-z0-9_]{0,39})$/.test(dimension)) {
        throw new ValueError(`There is no such key. ${whereHelp}`, [dimension])
      }
      const values = Array.isArray(given) ? given : [given]
      if (values.length === 0 || values.some((one) => typeof one !== 'string' && typeof one !== 'number')) {
        throw new ValueError(`This is no value. ${whereHelp}`, [dimension])
      }
      return [dimension, values.map(String)]
    }),
  )
}
