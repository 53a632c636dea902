/** Steps over the strings of JSON that comes in pieces. */

const quote = 0x22
const backslash = 0x5c
/** So far bytes are looked at one by one: most strings are short, and a native search costs as much as this. */
const nearBytes = 32

export class StringBytes {
  /** The last piece ended behind a backslash. */
  #isEscaped = false

  /** Of a string whose opening quote has been read: the offset behind its closing quote, or -1 when it goes on in the next piece. */
  end(bytes: Buffer, from: number): number {
    const { length } = bytes
    let at = this.#isEscaped ? from + 1 : from
    this.#isEscaped = false
    while (at < length) {
      for (const near = Math.min(length, at + nearBytes); at < near; at++) {
        const byte = bytes[at]
        if (byte === quote) return at + 1
        if (byte === backslash) at++
      }
      if (at >= length) break
      const found = bytes.indexOf(quote, at)
      const end = found === -1 ? length : found
      let slashes = 0
      while (end - slashes > at && bytes[end - 1 - slashes] === backslash) slashes++
      const isEscaped = slashes % 2 === 1
      if (found !== -1 && !isEscaped) return found + 1
      at = isEscaped ? end + 1 : end
    }
    this.#isEscaped = at > length
    return -1
  }
}
