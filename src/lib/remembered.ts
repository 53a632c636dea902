/** What is made of texts that recur, as names and header values do. */

const textsMax = 1000
/** Nothing is kept for a longer text. */
const charactersMax = 1000

/**
 * The same function, which makes a thing once for each text as long as these are not too many. What it gives must not be changed. Of a text that gives
 * undefined nothing is kept.
 */
export function remembered<Made>(make: (text: string) => Made): (text: string) => Made {
  const known = new Map<string, Made>()
  return (text) => {
    const found = known.get(text)
    if (found !== undefined) return found
    const made = make(text)
    if (made === undefined || text.length > charactersMax) return made
    if (known.size >= textsMax) known.clear()
    known.set(text, made)
    return made
  }
}
