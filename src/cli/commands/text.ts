/** Text for a terminal, wrapped to a width, without control sequences. */
import { printableLine } from '../../lib/printable.ts'
import { cut, widthOf } from '../../lib/terminal.ts'

/** Wraps at spaces, and within a word that is wider than a line. */
export function folded(text: string, widthMax: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of printableLine(text).split(' ')) {
    if (line !== '' && widthOf(line) + 1 + widthOf(word) > widthMax) {
      lines.push(line)
      line = ''
    }
    line = line === '' ? word : `${line} ${word}`
    while (widthOf(line) > widthMax) {
      const part = cut(line, widthMax + 1).slice(0, -1)
      lines.push(part)
      line = line.slice(part.length)
    }
  }
  return [...lines, line]
}
