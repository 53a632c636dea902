/** `--where` of report and tail, `where=` of the API: FIELD OPERATOR VALUE → a condition. */
import { columns } from '../columns.ts'
import { type Condition, dimensionOf, dimensions, type Field, type Operator, operators } from './queries.ts'

export class ConditionError extends Error {
  override readonly name = 'ConditionError'
}

/** Short names of columns. */
const aliases: Readonly<Record<string, string>> = { outcome: 'usage_outcome', reason: 'usage_reason', error: 'error_type' }
const isNumber = new Map<string, boolean>(columns.map(({ name, type }) => [name, type !== 'TEXT']))

const mend = `Write ${[...dimensions, 'label:NAME', 'any_model', ...Object.keys(aliases)].join(', ')} or a column of the ledger, then one of ${operators.join(' ')} and a value: provider=openai, status>=400.`

/** Conditions that must all hold. Several values of one field with `=` are alternatives; no value is one that is not known. Throws `ConditionError`. */
export function conditionsOf(texts: readonly string[]): readonly Condition[] {
  const found = texts.map(conditionOf)
  const equal = Map.groupBy(
    found.filter(({ operator }) => operator === '='),
    ({ dimension }) => dimension,
  )
  const joined = [...equal].map(
    ([dimension, all]): Condition => ({ dimension, operator: '=', values: all.flatMap(({ values }) => values) }),
  )
  return [...joined, ...found.filter(({ operator }) => operator !== '=')]
}

function conditionOf(text: string): Condition {
  const [, name = '', operator, value = ''] = /^\s*([a-z][a-z0-9_:]*)\s*(!=|~=|>=|<=|=|>|<)(.*)$/is.exec(text) ?? []
  const dimension = fieldOf(name)
  if (dimension === undefined || operator === undefined)
    throw new ConditionError(`The condition ${JSON.stringify(text.slice(0, 80))} is not understood. ${mend}`)
  const numeric = isNumber.get(dimension.replace('column:', '')) === true
  const fail = (why: string) => {
    throw new ConditionError(`The condition ${JSON.stringify(text.slice(0, 80))} is not understood: ${why}`)
  }
  if (numeric && operator === '~=') fail(`${name} is a number. Compare it with = != > >= < or <=.`)
  if (!numeric && /[<>]/.test(operator)) fail(`${name} is a text. Compare it with = != or ~=.`)
  if (value === '' && operator !== '=' && operator !== '!=') fail(`${operator} needs a value.`)
  if (numeric && value !== '' && !Number.isFinite(Number(value))) fail(`${JSON.stringify(value.slice(0, 40))} is not a number.`)
  return { dimension, operator: operator as Operator, values: [value === '' ? null : numeric ? Number(value) : value] }
}

function fieldOf(name: string): Field | undefined {
  if (name === 'any_model') return name
  const column = aliases[name] ?? name
  return dimensionOf(name) ?? (isNumber.has(column) ? `column:${column}` : undefined)
}
