/** Text for a terminal: its width in columns, cut to fit, with colours where they are wanted. */
import { styleText } from 'node:util'
import { printableLine } from './printable.ts'

/** What of an output stream is asked. */
export interface TerminalStream {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

export type Environment = Readonly<Record<string, string | undefined>>

const columnsUsual = 80
const columnsMin = 40

/** Columns to fit in: what COLUMNS says, or the terminal. Undefined is a pipe, where nothing is cut. */
export function terminalWidth({ isTTY, columns }: TerminalStream, { COLUMNS }: Environment): number | undefined {
  const told = /^[1-9]\d{0,4}$/.test(COLUMNS ?? '') ? Number(COLUMNS) : undefined
  const width = told ?? (isTTY === true ? columns || columnsUsual : undefined)
  return width === undefined ? undefined : Math.max(columnsMin, width)
}

export function coloured({ isTTY }: TerminalStream, env: Environment): boolean {
  return isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb'
}

export interface Painter {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly red: (text: string) => string
  readonly green: (text: string) => string
  readonly yellow: (text: string) => string
  readonly cyan: (text: string) => string
}

/** Colours on a terminal, plain text elsewhere. */
export function painter(stream: TerminalStream, env: Environment): Painter {
  const isColoured = coloured(stream, env)
  const paint = (style: keyof Painter) => (text: string) => (isColoured ? styleText(style, text, { validateStream: false }) : text)
  return { bold: paint('bold'), dim: paint('dim'), red: paint('red'), green: paint('green'), yellow: paint('yellow'), cyan: paint('cyan') }
}

let segmenter: Intl.Segmenter | undefined
/** Made when it is first needed: a start needs none. */
const segments = (text: string) => (segmenter ??= new Intl.Segmenter()).segment(text)
const wide =
  /^[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u

/** The width of the text in terminal columns: two for a wide character, none for a combining one. */
export function widthOf(text: string): number {
  // The usual case, which needs no segmenter.
  if (/^[\u0020-\u007e]*$/.test(text)) return text.length
  let width = 0
  for (const { segment } of segments(text)) width += wide.test(segment) ? 2 : 1
  return width
}

/** Sanitized and at most this wide; longer text ends in `…`. */
export function cut(text: string, widthMax: number): string {
  const whole = printableLine(text)
  if (widthOf(whole) <= widthMax) return whole
  let kept = ''
  let width = 0
  for (const { segment } of segments(whole)) {
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
