/** Text for a terminal: how wide it stands there, cut or folded to a width, and without what could take the terminal over. */

/** Two cells: East Asian wide characters and emoji. Good for names; not a full Unicode width table. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u
const noWidth = /\p{Mn}|\p{Me}|[\u200b-\u200d]/u

const segmenter = new Intl.Segmenter('en')

function widthOf(character: string): number {
  if (wide.test(character)) return 2
  return noWidth.test(character) && character.length === 1 ? 0 : 1
}

/** Cells that a text takes on a terminal. */
export function displayWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let width = 0
  for (const { segment } of segmenter.segment(text)) width += widthOf(segment)
  return width
}

/** Names come from whoever sends a request: control characters, and marks that turn the direction of what follows, become visible. */
export function harmless(text: string): string {
  return text.replace(/[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu, '\ufffd')
}

/** Harmless, and at most so wide: what is longer ends in `…`. */
export function cut(text: string, widthMax: number): string {
  const whole = harmless(text)
  if (displayWidth(whole) <= widthMax) return whole
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
  const space = ' '.repeat(Math.max(0, width - displayWidth(fitting)))
  return side === 'left' ? fitting + space : space + fitting
}

/** Lines no wider than that, broken at spaces; a word that is wider stands alone. */
export function folded(text: string, widthMax: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of harmless(text).split(' ')) {
    if (line !== '' && displayWidth(line) + 1 + displayWidth(word) > widthMax) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

/** Columns of a terminal; what is written to a pipe is as wide as for 80. */
export function widthOfOutput(columns: number | undefined): number {
  return Math.max(40, columns ?? 80)
}
