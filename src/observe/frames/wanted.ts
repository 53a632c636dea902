/**
 * Which messages can matter, decided on their bytes before anything is parsed: those in which a wanted JSON key stands before a value
 * other than `null` (per-event `"usage":null` is the usual false trigger), and `[DONE]`.
 *
 * One regular expression over a Latin-1 string, because V8 compiles it: with `"finish_reason":null` and `"usage":null` in each 220-byte
 * event it scans twice as fast as `Buffer.indexOf` per key, which stops at each of those nulls.
 */

export interface WantedPattern {
  /** Whether `bytes` hold a wanted key. Never false for a message that does; true now and then for one that does not. */
  matches(bytes: Buffer): boolean
  /** Offset in `latin1` just after the first wanted key found at or after `from`; -1 when there is none. No match spans a line break. */
  endOfMatch(latin1: string, from: number): number
}

// Formats hold their keys in one constant array each, so that this holds one entry per format.
const patterns = new WeakMap<readonly string[], WantedPattern>()

/** The pattern of a list of keys, made once per list (by identity). */
export function wantedPattern(keys: readonly string[]): WantedPattern {
  let pattern = patterns.get(keys)
  if (pattern === undefined) {
    pattern = createPattern(keys)
    patterns.set(keys, pattern)
  }
  return pattern
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}

function createPattern(keys: readonly string[]): WantedPattern {
  const names = keys.map((key) => escaped(Buffer.from(JSON.stringify(key)).toString('latin1')))
  // A line break after the key counts as found: in SSE the rest of the pair may stand on the next `data:` line. So does the end of
  // the text. `(?![ \t]|null)` and not `(?!null)`, else `[ \t]*` would give a blank back and find it to be no null.
  const beforeValue = '(?=[ \\t]*(?:[\\r\\n]|$|:[ \\t]*(?![ \\t]|null)))'
  const wanted = names.length === 0 ? '' : `|(?:${names.join('|')})${beforeValue}`
  const expression = new RegExp(`\\[DONE\\]${wanted}`, 'g')
  const endOfMatch = (latin1: string, from: number) => {
    expression.lastIndex = from
    return expression.test(latin1) ? expression.lastIndex : -1
  }
  return { endOfMatch, matches: (bytes) => endOfMatch(bytes.toString('latin1'), 0) !== -1 }
}
