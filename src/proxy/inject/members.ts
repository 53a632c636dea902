/**
 * Where the members of a JSON object stand in its bytes, so that one can be inserted or replaced and every other byte stays as it was. The bytes are looked
 * at as they come and never parsed: a body of millions of keys holds nobody up.
 */
import { StringBytes } from '../../lib/json-bytes.ts'

export interface Member {
  /** Of a key that is too long to be one of ours it is empty. */
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
const comma = 0x2c
const colon = 0x3a
const braceOpen = 0x7b
const braceClose = 0x7d
/** A bracket and the brace of the same side differ by this bit alone. */
const braceBit = 0x20

/** With its quotes: `stream_options` has 84 when each of its letters is written as \uXXXX. */
const keyBytesMax = 128

/** An escape, or what JSON does not allow in a string. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are meant
const notPlain = /[\\\x00-\x1f]/

/** No request has so many; each costs some hundred nanoseconds. */
const membersMax = 10_000

type Place =
  | 'before'
  | 'first key'
  | 'key'
  | 'in key'
  | 'colon'
  | 'value'
  | 'in scalar'
  | 'in string'
  | 'in container'
  | 'behind value'
  | 'ended'
  | 'broken'

export class MembersScan {
  /** The keys that are listed; all of them when absent. */
  readonly #wanted: ReadonlySet<string> | undefined
  readonly #string = new StringBytes()
  readonly #list: Member[] = []
  #place: Place = 'before'
  #inside = 0
  /** Bytes before the piece that is being read. */
  #offset = 0
  /** Of a container. */
  #depth = 0
  #isInString = false
  /** What has been read of a key, from its quote on; at most so much that it is seen to be too long. */
  #rawKey = ''
  #key = ''
  #start = 0
  #count = 0

  constructor(wanted?: ReadonlySet<string>) {
    this.#wanted = wanted
  }

  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && this.#place !== 'ended' && this.#place !== 'broken'; ) at = this.#read(bytes, at)
    this.#offset += bytes.length
  }

  /** It has more members than are looked at. */
  get isTooWide(): boolean {
    return this.#count > membersMax
  }

  /** `undefined` when the bytes were no JSON object, or not a whole one. What stands behind it has not been looked at. */
  members(): Members | undefined {
    return this.#place === 'ended' ? { inside: this.#inside, list: this.#list } : undefined
  }

  /** Reads on from `at`, and returns the offset of what was not read. */
  #read(bytes: Buffer, at: number): number {
    switch (this.#place) {
      case 'in key':
        return this.#readKey(bytes, at)
      case 'in string':
        return this.#readString(bytes, at)
      case 'in container':
        return this.#readContainer(bytes, at)
      case 'in scalar':
        return this.#readScalar(bytes, at)
      default: {
        const byte = bytes[at] as number
        if (isBlank(byte)) return at + 1
        return this.#readBetween(byte, at)
      }
    }
  }

  #readBetween(byte: number, at: number): number {
    const place = this.#place
    if (place === 'before' && byte === braceOpen) {
      this.#inside = this.#offset + at + 1
      this.#place = 'first key'
    } else if ((place === 'first key' || place === 'key') && byte === quote) {
      this.#rawKey = '"'
      this.#place = 'in key'
    } else if ((place === 'first key' || place === 'behind value') && byte === braceClose) this.#place = 'ended'
    else if (place === 'colon' && byte === colon) this.#place = 'value'
    else if (place === 'behind value' && byte === comma) this.#place = 'key'
    else if (place === 'value') return this.#beginValue(byte, at)
    else this.#place = 'broken'
    return at + 1
  }

  #readKey(bytes: Buffer, from: number): number {
    const end = this.#string.end(bytes, from)
    const to = end === -1 ? bytes.length : end
    if (this.#rawKey.length <= keyBytesMax) this.#rawKey += bytes.toString('latin1', from, Math.min(to, from + keyBytesMax))
    if (end === -1) return to
    const key = keyOf(this.#rawKey)
    this.#key = key ?? ''
    this.#place = key === undefined ? 'broken' : 'colon'
    return to
  }

  #beginValue(byte: number, at: number): number {
    this.#start = this.#offset + at
    if (byte === quote) this.#place = 'in string'
    else if ((byte | braceBit) === braceOpen) {
      this.#depth = 1
      this.#place = 'in container'
    } else {
      this.#place = isScalarEnd(byte) ? 'broken' : 'in scalar'
    }
    return at + 1
  }

  #readString(bytes: Buffer, from: number): number {
    const end = this.#string.end(bytes, from)
    if (end === -1) return bytes.length
    this.#endValue(end)
    return end
  }

  #readScalar(bytes: Buffer, from: number): number {
    let at = from
    while (at < bytes.length && !isScalarEnd(bytes[at] as number)) at++
    if (at < bytes.length) this.#endValue(at)
    return at
  }

  /** Brackets are counted, not matched. */
  #readContainer(bytes: Buffer, from: number): number {
    let at = from
    while (at < bytes.length) {
      if (this.#isInString) {
        const end = this.#string.end(bytes, at)
        if (end === -1) return bytes.length
        this.#isInString = false
        at = end
        continue
      }
      const byte = bytes[at++] as number
      if (byte === quote) this.#isInString = true
      else if ((byte | braceBit) === braceOpen) this.#depth++
      else if ((byte | braceBit) === braceClose && --this.#depth === 0) {
        this.#endValue(at)
        return at
      }
    }
    return at
  }

  #endValue(at: number): void {
    this.#count++
    this.#place = this.isTooWide ? 'broken' : 'behind value'
    const key = this.#key
    // Of a wanted key two say already that it is repeated.
    if (this.#wanted !== undefined && (!this.#wanted.has(key) || this.#list.filter((one) => one.key === key).length > 1)) return
    this.#list.push({ key, start: this.#start, end: this.#offset + at })
  }
}

/** The members of the object that begins at or after `from`, blanks skipped; `undefined` when there is none or its bytes are no JSON. */
export function membersAt(bytes: Buffer, from: number): Members | undefined {
  const scan = new MembersScan()
  scan.push(bytes.subarray(from))
  const members = scan.members()
  if (members === undefined || from === 0) return members
  const list = members.list.map(({ key, start, end }) => ({ key, start: start + from, end: end + from }))
  return { inside: members.inside + from, list }
}

/** Of a key's bytes with its quotes, as latin1; empty when it is too long to be one of ours, undefined when it is no JSON. */
function keyOf(raw: string): string | undefined {
  if (raw.length > keyBytesMax) return ''
  if (!notPlain.test(raw)) return raw.slice(1, -1)
  try {
    return JSON.parse(raw) as string
  } catch {
    return undefined
  }
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

function isScalarEnd(byte: number): boolean {
  return isBlank(byte) || byte === comma || (byte | braceBit) === braceClose
}
