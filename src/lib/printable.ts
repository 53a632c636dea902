/**
 * Text from requests, responses and files, made harmless for a terminal and for whoever reads it: a C1 control can be the start of a control
 * sequence, a bidi mark lets text read as something else. They are escaped as in JSON (`\u009b`), so JSON stays the same JSON.
 */

const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/** And without DEL. Asked first, because nearly every text is: it takes a tenth of the time of looking for what is escaped. */
const isAscii = (text: string) => Buffer.byteLength(text) === text.length && !text.includes('\u007f')

/** For whole output: keeps line ends and the control sequences of colours, which are ours. */
export function printable(text: string): string {
  return isAscii(text) ? text : text.replace(/[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, escaped)
}

/** For a text within output, possibly of several lines: keeps line ends only. */
export function printableLines(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is escaped
  return printable(text).replace(/[\u0000-\u0009\u000b-\u001f]/g, escaped)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what would be escaped
const unprintable = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/

/** Whether `printableLine` would leave the text as it is. */
export function isPrintableLine(text: string): boolean {
  return !unprintable.test(text)
}

/** For a name or a cell of a table. */
export function printableLine(text: string): string {
  return printableLines(text).replaceAll('\n', '\\n')
}
