/** Patterns of the configuration: `*` stands for any run of characters, everything else for itself. Anchored at both ends. */

/**
 * `gpt-*` is a beginning, `*.internal` an end, `gpt-4o` that text alone: a pattern without `*` is never looked for inside a text.
 * Linear in the text's length: a model name is whatever a client sends, and a regular expression with several `.*` could be made to crawl.
 */
export function wildcard(pattern: string): (text: string) => boolean {
  const parts = pattern.split('*')
  const first = parts[0] as string
  const last = parts.at(-1) as string
  if (parts.length === 1) return (text) => text === pattern
  const middle = parts.slice(1, -1).filter((part) => part !== '')
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
    const end = text.length - last.length
    let at = first.length
    for (const part of middle) {
      const found = text.indexOf(part, at)
      if (found < 0 || found + part.length > end) return false
      at = found + part.length
    }
    return true
  }
}
