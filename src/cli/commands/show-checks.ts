/** Checks for a terminal: a mark, a name, what was found, and below it what to do. */
import { cell, terminalWidth } from '../../lib/terminal.ts'
import type { Check } from '../checks.ts'
import { type Environment, type Io, painter } from './context.ts'
import { folded } from './text.ts'

const marks = { ok: '✓', failed: '✗', warned: '!', skipped: '–' } as const
const nameWidth = 18

/** Columns that a line may take. */
export const widthFor = ({ stdout }: Io, env: Environment) => terminalWidth(stdout, env) ?? Number.POSITIVE_INFINITY

/** One line or more for each check, without a line end at the end. */
export function checksText(checks: readonly Check[], io: Io, env: Environment): string {
  const paint = painter(io.stdout, env)
  const width = widthFor(io, env)
  const colour = { ok: paint.green, failed: paint.red, warned: paint.yellow, skipped: paint.dim } as const
  const indent = ' '.repeat(nameWidth + 4)
  return checks
    .flatMap(({ name, status, what, mend }) => {
      const [first = '', ...more] = folded(what, width - indent.length)
      const mending = mend === undefined ? [] : folded(mend, width - indent.length - 2)
      return [
        `${colour[status](marks[status])} ${cell(name, nameWidth)}  ${first}`,
        ...more.map((line) => indent + line),
        ...mending.map((line, index) => `${indent}${paint.yellow(`${index === 0 ? '→' : ' '} ${line}`)}`),
      ]
    })
    .join('\n')
}
