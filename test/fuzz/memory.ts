/** How much stays in memory: of one endless message, and after very many. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { crc32 } from 'node:zlib'
import type { Framing } from '../../src/lib/exchange.ts'
import { createFramer } from '../../src/observe/frames/choose.ts'

/** Turned on here, so that nobody has to remember a flag. */
export const collectGarbage: () => void = (() => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
})()

/** False of an object that V8 keeps as a hash table, which is larger and slower. */
export const hasFastProperties: (object: object) => boolean = (() => {
  setFlagsFromString('--allow-natives-syntax')
  return runInNewContext('(object) => %HasFastProperties(object)') as (object: object) => boolean
})()

/** Bytes in use, of the heap and beside it. */
export function bytesInUse(): number {
  collectGarbage()
  collectGarbage()
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + Math.max(external, arrayBuffers)
}

const beginnings: Readonly<Partial<Record<Framing, string>>> = {
  sse: 'data: {"a":"',
  ndjson: '{"a":"',
  'json-array': '[{"a":"',
  whole: '{"a":"',
}

/** Bytes that a framer holds after 64 MiB of a message that does not end. The garbage is the chunks', so each is made anew. */
export function bytesHeld(framing: Framing, messageBytesMax: number): number {
  const framer = createFramer(framing, { onMessage: () => {}, onNote: () => {}, messageBytesMax })
  const before = bytesInUse()
  framer.push(framing === 'eventstream' ? endlessEvent : Buffer.from(beginnings[framing] ?? ''))
  for (let pushed = 0; pushed < 64; pushed++) framer.push(Buffer.alloc(1024 * 1024, 'x'))
  const held = bytesInUse() - before
  framer.end()
  return held
}

/** A prelude with its right checksum, of a message of 2 GiB. */
const endlessEvent = (() => {
  const prelude = Buffer.alloc(12)
  prelude.writeUInt32BE(0x7fffffff)
  prelude.writeUInt32BE(crc32(prelude.subarray(0, 8)), 8)
  return prelude
})()
