/** Text for a terminal, cut or folded to a width, without what could take the terminal over. */
import { safe, widthOf } from './table.ts'

const segmenter = new Intl.Segmenter()

/** Safe, and at most so wide: what is longer ends in `…`. */
export function cut(text: string, widthMax: number): string {
  const whole = safe(text)
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

/** Cut or filled up to a width exactly. */
export function cell(text: string, width: number, side: 'left' | 'right' = 'left'): string {
  const fitting = cut(text, width)
  const space = ' '.repeat(Math.max(0, width - widthOf(fitting)))
  return side === 'left' ? fitting + space : space + fitting
}

/** Lines no wider than that, broken at spaces, and within a word that is wider alone. */
export function folded(text: string, widthMax: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of safe(text).split(' ')) {
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

/** Columns of a terminal; what is written to a pipe is as wide as for 80. */
export function widthOfOutput(columns: number | undefined): number {
  return Math.max(40, columns ?? 80)
}
