/** A body in chunks, as both sides of the proxy write it (RFC 9112 §7.1). Text is latin1. */

/** So much of a body is written as one text with what frames it, which costs less than a write for each part. */
export const joinedBytesMax = 8192

/** What stands before a chunk; behind it comes CRLF. One without bytes would be the last. */
export function chunkSize({ length }: Uint8Array): string {
  return `${length.toString(16)}\r\n`
}

/** `rawTrailers`: flat list. */
export function lastChunk(rawTrailers: readonly string[] = []): string {
  let fields = ''
  for (let i = 0; i + 1 < rawTrailers.length; i += 2) fields += `${rawTrailers[i]}: ${rawTrailers[i + 1]}\r\n`
  return `0\r\n${fields}\r\n`
}
