/** Where the members of a JSON object stand in its bytes, so that one can be inserted or replaced and every other byte stays as it was. */

export interface Member {
  readonly key: string
  /** First byte of the value. */
  readonly start: number
  /** First byte after the value. */
  readonly end: number
}

export interface Members {
  /** First byte after the opening brace. */
  readonly inside: number
  readonly list: readonly Member[]
}

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const braceOpen = 0x7b
const braceClose = 0x7d
const bracketOpen = 0x5b
const bracketClose = 0x5d

/** The members of the object that begins at or after `from`, blanks skipped; `undefined` when there is none or its bytes are no JSON. */
export function membersAt(bytes: Buffer, from: number): Members | undefined {
  const open = skipBlanks(bytes, from)
  if (bytes[open] !== braceOpen) return undefined
  const inside = open + 1
  const list: Member[] = []
  let at = skipBlanks(bytes, inside)
  if (bytes[at] === braceClose) return { inside, list }
  for (;;) {
    const keyEnd = stringEnd(bytes, at)
    if (keyEnd === undefined) return undefined
    const separator = skipBlanks(bytes, keyEnd)
    if (bytes[separator] !== colon) return undefined
    const start = skipBlanks(bytes, separator + 1)
    const end = valueEnd(bytes, start)
    if (end === undefined) return undefined
    const key = readKey(bytes, at, keyEnd)
    if (key === undefined) return undefined
    list.push({ key, start, end })
    at = skipBlanks(bytes, end)
    if (bytes[at] === braceClose) return { inside, list }
    if (bytes[at] !== comma) return undefined
    at = skipBlanks(bytes, at + 1)
  }
}

function readKey(bytes: Buffer, start: number, end: number): string | undefined {
  try {
    return JSON.parse(bytes.toString('utf8', start, end)) as string
  } catch {
    return undefined
  }
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

function skipBlanks(bytes: Buffer, from: number): number {
  let at = from
  while (isBlank(bytes[at])) at++
  return at
}

/** First byte after the string that begins at `at`. Jumps from quote to quote: prompts are long and quotes are few. */
function stringEnd(bytes: Buffer, at: number): number | undefined {
  if (bytes[at] !== quote) return undefined
  let next = at
  for (;;) {
    next = bytes.indexOf(quote, next + 1)
    if (next < 0) return undefined
    let escapes = 0
    while (bytes[next - 1 - escapes] === backslash) escapes++
    if (escapes % 2 === 0) return next + 1
  }
}

function valueEnd(bytes: Buffer, at: number): number | undefined {
  const first = bytes[at]
  if (first === quote) return stringEnd(bytes, at)
  if (first === braceOpen || first === bracketOpen) return containerEnd(bytes, at)
  let end = at
  for (let byte = bytes[end]; byte !== undefined && !isBlank(byte) && byte !== comma && byte !== braceClose && byte !== bracketClose; ) {
    end++
    byte = bytes[end]
  }
  return end === at ? undefined : end
}

function containerEnd(bytes: Buffer, from: number): number | undefined {
  let depth = 0
  for (let at = from; at < bytes.length; ) {
    const byte = bytes[at]
    if (byte === quote) {
      const end = stringEnd(bytes, at)
      if (end === undefined) return undefined
      at = end
      continue
    }
    if (byte === braceOpen || byte === bracketOpen) depth++
    if (byte === braceClose || byte === bracketClose) depth--
    at++
    if (depth === 0) return at
  }
  return undefined
}
