/** Text for a terminal, cut or wrapped to a width, without control sequences. */
import { printableLine } from '../../lib/printable.ts'
import { widthOf } from './table.ts'

const segmenter = new Intl.Segmenter()

/** Sanitized and at most this wide; longer text ends in `…`. */
export function cut(text: string, widthMax: number): string {
  const whole = printableLine(text)
  if (widthOf(whole) <= widthMax) return whole
  let kept = ''
  let width = 0
  for (const { segment } of segmenter.segment(whole)) {
    width += widthOf(segment)
    if (width > widthMax - 1) break
    kept += segment
  }
  return widthMax < 1 ? '' : `${kept}…`
}

/** Cut or padded to exactly this width. */
export function cell(text: string, width: number, side: 'left' | 'right' = 'left'): string {
  const fitting = cut(text, width)
  const space = ' '.repeat(Math.max(0, width - widthOf(fitting)))
  return side === 'left' ? fitting + space : space + fitting
}

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

/** Columns of the terminal; 80 for a pipe. */
export function widthOfOutput(columns: number | undefined): number {
  return Math.max(40, columns ?? 80)
}
