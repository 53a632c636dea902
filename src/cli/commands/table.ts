/** Tables of text that fit a terminal: columns as wide as they need, names cut with …, the least important columns left out first. */
import { printableLine } from '../../lib/printable.ts'
import { cut, type Painter, widthOf } from '../../lib/terminal.ts'

export interface Column {
  readonly title: string
  /** Numbers stand right. */
  readonly align: 'left' | 'right'
  /** Which columns to leave out of a table that is too wide: highest first, 0 never. */
  readonly spare: number
}

export interface TableText {
  readonly columns: readonly Column[]
  readonly rows: readonly (readonly string[])[]
  /** The last line, separated from the others. */
  readonly totals?: readonly string[] | undefined
}

const gap = '  '
/** Minimum width of a column that is cut. */
const narrowest = 8

/** `width` in columns of the terminal; undefined is a pipe, where nothing is cut or left out. */
export function tableText({ columns, rows, totals }: TableText, width: number | undefined, paint: Pick<Painter, 'bold' | 'dim'>): string {
  const all = [columns.map(({ title }) => title), ...rows, ...(totals === undefined ? [] : [totals])].map((row) => row.map(printableLine))
  const needed = columns.map((_, index) => Math.max(...all.map((row) => widthOf(row[index] ?? ''))))
  const { kept, widths } = layout(columns, needed, width ?? Number.POSITIVE_INFINITY)
  const line = (row: readonly string[] | undefined) =>
    kept
      .map((index, at) => {
        const text = cut(row?.[index] ?? '', widths[at] ?? 0)
        const fill = ' '.repeat((widths[at] ?? 0) - widthOf(text))
        return columns[index]?.align === 'right' ? fill + text : text + fill
      })
      .join(gap)
      .trimEnd()
  const rule = paint.dim(widths.map((each) => '─'.repeat(each)).join(gap))
  const body = all.slice(1, 1 + rows.length).map(line)
  const last = totals === undefined ? [] : [rule, paint.bold(line(all.at(-1)))]
  return `${[paint.bold(line(all[0])), rule, ...body, ...last].join('\n')}\n`
}

function layout(columns: readonly Column[], needed: readonly number[], width: number): { kept: number[]; widths: number[] } {
  let kept = columns.map((_, index) => index)
  const total = () => kept.reduce((sum, index) => sum + (needed[index] ?? 0), 0) + gap.length * (kept.length - 1)
  /** The smallest width that cutting names can reach. */
  const least = () => kept.reduce((sum, index) => sum + leastOf(index), 0) + gap.length * (kept.length - 1)
  const leastOf = (index: number) => {
    const full = needed[index] ?? 0
    return columns[index]?.align === 'left' ? Math.min(full, narrowest * 2) : full
  }
  const spares = () =>
    kept.filter((index) => (columns[index]?.spare ?? 0) > 0).sort((a, b) => (columns[b]?.spare ?? 0) - (columns[a]?.spare ?? 0))
  while (least() > width && spares().length > 0) {
    const [worst] = spares()
    kept = kept.filter((index) => index !== worst)
  }
  const widths = kept.map((index) => needed[index] ?? 0)
  const over = () => total() - kept.reduce((sum, index, at) => sum + (needed[index] ?? 0) - (widths[at] ?? 0), 0) - width
  const names = kept.map((index, at) => ({ at, isName: columns[index]?.align === 'left' })).filter(({ isName }) => isName)
  while (over() > 0) {
    const widest = names.reduce((best, { at }) => ((widths[at] ?? 0) > (widths[best] ?? 0) ? at : best), names[0]?.at ?? 0)
    if ((widths[widest] ?? 0) <= narrowest) break
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  return { kept, widths }
}

/** Wraps between words; an undefined width is a pipe, where nothing is wrapped. */
export function wrapped(text: string, width: number | undefined): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last === undefined || (width !== undefined && widthOf(last) + 1 + widthOf(word) > width)) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}
