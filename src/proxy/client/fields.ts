/** Header fields as they stand on the wire (RFC 9112 §5): what may be sent, and a strict reader of what was received. Text is latin1. */

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const notText = /[^\t\x20-\x7e\x80-\xff]/

export function isToken(text: string): boolean {
  return token.test(text)
}

/** Whether `text` can be a field's value: no control characters but the tab, nothing beyond latin1. */
export function isFieldText(text: string): boolean {
  return !notText.test(text)
}

/**
 * The fields from `at` to the end of `section`, each line of which ends with CRLF, as a flat list without the white space around values.
 * `undefined` where one is not valid: bare CR or LF, a control character, a folded line, no name, white space before the colon.
 */
export function readFields(section: string, at: number): string[] | undefined {
  const fields: string[] = []
  let from = at
  while (from < section.length) {
    const end = section.indexOf('\r\n', from)
    const colon = section.indexOf(':', from)
    if (colon < 0) return undefined
    const name = section.slice(from, colon)
    const value = withoutSpace(section, colon + 1, end)
    if (!token.test(name) || notText.test(value)) return undefined // also where the colon was one of a later line
    fields.push(name, value)
    from = end + 2
  }
  return fields
}

function withoutSpace(text: string, from: number, to: number): string {
  let first = from
  let end = to
  while (first < end && isSpace(text.charCodeAt(first))) first++
  while (end > first && isSpace(text.charCodeAt(end - 1))) end--
  return text.slice(first, end)
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09
}
