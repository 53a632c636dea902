/** Damage as networks, gateways and attackers do it to recorded bytes. Seeded: the same numbers give the same damage. */

export type Random = () => number

export const below = (random: Random, limit: number): number => Math.floor(random() * limit)
export const pick = <T>(random: Random, list: readonly T[]): T => list[below(random, list.length)] as T

type Damage = (body: Buffer, random: Random, other: () => Buffer) => Buffer

const insert = (body: Buffer, at: number, what: Buffer, drop = 0) => Buffer.concat([body.subarray(0, at), what, body.subarray(at + drop)])
const texts = (...list: readonly string[]) => list.map((text) => Buffer.from(text, 'latin1'))

const salt = texts(
  ...[
    '\r',
    '\n',
    '\r\n\r\n',
    '\n\n',
    ':',
    '"',
    '\\',
    '{',
    '}',
    ']',
    ',',
    '\0',
    'data:',
    'data: ',
    'event: ',
    '\x1e',
    '[DONE]',
    'data: [DONE]\n\n',
  ],
  ...[
    '"usage":',
    '"usage":null,',
    '"usage":{},',
    '"error":',
    '"choices":[],',
    '"__proto__":',
    '"constructor":',
    '"toString":',
    'null',
    '[]',
  ],
)
const brokenUtf8 = texts('\xff', '\xc3', '\xe2\x82', '\xed\xa0\x80', '\xf4\x90\x80\x80', '\xc0\xaf', '\xef\xbb\xbf', '\x80\x80')
const numbers = texts(
  ...[
    '0',
    '-0',
    '-1',
    '1.5',
    '1e308',
    '1e400',
    '-1e400',
    '9007199254740991',
    '9007199254740992',
    '9007199254740993',
    '99999999999999999999',
  ],
  ...['4294967296', '"12"', 'null', 'true', '{}', '[]', 'NaN', '0x10', '1e-7', '007'],
)
const nests = ['[', '{"a":', '{"usage":', '[{"choices":', '{"error":', '{"message":', '{"response":'] as const
const closing = [']', '}', '}', '}]', '}', '}', '}']

const damages: readonly Damage[] = [
  // Some bytes changed.
  (body, random) => {
    const changed = Buffer.from(body)
    for (let times = 1 + below(random, 8); times > 0 && body.length > 0; times--) changed[below(random, body.length)] = below(random, 256)
    return changed
  },
  // Cut short, or begun late.
  (body, random) => body.subarray(0, below(random, body.length + 1)),
  (body, random) => body.subarray(below(random, body.length + 1)),
  // A part lost, or sent again.
  (body, random) => insert(body, below(random, body.length + 1), Buffer.alloc(0), below(random, 200)),
  (body, random) => {
    const at = below(random, body.length + 1)
    return insert(body, at, body.subarray(Math.max(0, at - below(random, 2000)), at))
  },
  // The head of one with the tail of another.
  (body, random, other) => {
    const tail = other()
    return Buffer.concat([body.subarray(0, below(random, body.length + 1)), tail.subarray(below(random, tail.length + 1))])
  },
  (body, random) => insert(body, below(random, body.length + 1), pick(random, salt)),
  (body, random) => insert(body, below(random, body.length + 1), pick(random, brokenUtf8)),
  // Numbers, where numbers stand: after a colon.
  (body, random) => changeNumbers(body, random),
  (body, random) => changeNumbers(body, random),
  // Deep nesting, closed or not, where a value stands.
  (body, random) => {
    const at = afterColon(body, random)
    const open = pick(random, nests)
    const depth = 1 + below(random, random() < 0.02 ? 20_000 : 100)
    const close = closing[nests.indexOf(open)] as string
    const value = random() < 0.5 ? `1${close.repeat(depth)}` : ''
    return insert(body, at, Buffer.from(open.repeat(depth) + value + (random() < 0.5 ? ',"b":' : '')))
  },
  // Something long, as no limit expects it.
  (body, random) => {
    const length = below(random, random() < 0.01 ? 300_000 : 3000)
    return insert(body, afterColon(body, random), Buffer.from(`"${'x'.repeat(length)}",`))
  },
  // Noise, instead of all of it.
  (_, random) => Buffer.from(Array.from({ length: below(random, 400) }, () => below(random, 256))),
]

function afterColon(body: Buffer, random: Random): number {
  const found = body.indexOf(':', below(random, body.length + 1))
  return found < 0 ? below(random, body.length + 1) : found + 1
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39
}

/** One of the numbers from a random place on, or as many as there are after it. */
function changeNumbers(body: Buffer, random: Random): Buffer {
  const parts: Buffer[] = []
  let done = 0
  const times = random() < 0.7 ? 1 : 20
  for (let at = below(random, body.length + 1), count = 0; count < times; count++) {
    while (at < body.length && !(isDigit(body[at]) && body[at - 1] === 0x3a)) at++
    if (at >= body.length) break
    let end = at
    while (isDigit(body[end])) end++
    parts.push(body.subarray(done, at), pick(random, numbers))
    done = end
    at = end
  }
  return Buffer.concat([...parts, body.subarray(done)])
}

/** One to four damages, one on top of the other. `other` gives another recording's body. */
export function damaged(body: Buffer, random: Random, other: () => Buffer): Buffer {
  let bytes = body
  do bytes = pick(random, damages)(bytes, random, other)
  while (random() < 0.4 && bytes.length < 1_000_000)
  return bytes
}

/** Chunks as a network cuts them; of a large body not too many. */
export function cut(body: Buffer, random: Random): Buffer[] {
  const usual = Math.max(1, random() < 0.2 ? below(random, 8) : below(random, 400), Math.ceil(body.length / 200))
  const chunks: Buffer[] = []
  for (let at = 0; at < body.length; ) {
    const length = 1 + below(random, 2 * usual)
    chunks.push(body.subarray(at, at + length))
    at += length
  }
  return chunks
}
