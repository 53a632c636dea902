/** Markdown tables whose cells may hold anything. */

/** A cell on one line: a pipe would end it. */
const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

export const code = (text: string) => `\`${text}\``

/** Said at the head of each page. */
export const generated = (source: string) => `<!-- Made from ${source} by \`npm run docs\`: change it there. -->`
