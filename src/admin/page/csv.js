/** Comma-separated values as RFC 4180 has them, but with Unix line endings; as `tokenweir report --csv` writes them. */

/** What begins a formula, also full-width, behind blanks, controls and characters without width. */
const formula = /^[\s\p{C}]*[=+\-@\uff1d\uff0b\uff0d\uff20]/u
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is escaped
const controls = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g
const escaped = (character) => (character === '\n' ? '\\n' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** @param {Record<string, unknown>[]} rows All with the same names. */
export function csvOf(rows) {
  const names = Object.keys(rows[0] ?? {})
  return [names.map(cell), ...rows.map((row) => names.map((name) => cell(row[name])))].map((cells) => `${cells.join(',')}\n`).join('')
}

/** Names come from requests: one that a spreadsheet would run as a formula is quoted as text. What is not known is empty. */
function cell(value) {
  if (value === null || value === undefined) return ''
  if (typeof value === 'number') return String(value)
  const text = String(value)
  const plain = (formula.test(text) ? `'${text}` : text).replace(controls, escaped)
  return /[",]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain
}
