import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { event, eventstreamMessage } from './encode.ts'
import { everyCut, run } from './run.ts'

describe('an event-stream', () => {
  const good = event('chunk', '{"a":1}')

  it('is no longer read after any byte of a message was changed', () => {
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good)
      bad.writeUInt8(bad.readUInt8(at) ^ 0x10, at)
      expect({ at, ...run('eventstream', [Buffer.concat([good, bad, good])]) }).toEqual({
        at,
        messages: [['chunk', '{"a":1}']],
        notes: ['parse_error'],
      })
    }
  })

  it('reports a wrong checksum the same at every cut', () => {
    const bad = Buffer.from(good)
    bad.writeUInt8(bad.readUInt8(bad.length - 1) ^ 1, bad.length - 1)
    for (const { how, chunks } of everyCut(Buffer.concat([good, bad, good]))) {
      expect({ how, ...run('eventstream', chunks) }).toEqual({ how, messages: [['chunk', '{"a":1}']], notes: ['parse_error'] })
    }
  })

  it.each([
    ['is shorter than itself', 15, 0],
    ['has headers longer than itself', 40, 25],
    ['is nothing', 0, 0],
  ])('with a valid checksum of a length that cannot be (%s) is a parse error', (_, totalBytes, headersBytes) => {
    const bad = Buffer.alloc(64)
    bad.writeUInt32BE(totalBytes)
    bad.writeUInt32BE(headersBytes, 4)
    bad.writeUInt32BE(crc32(bad.subarray(0, 8)), 8)
    expect(run('eventstream', [bad])).toEqual({ messages: [], notes: ['parse_error'] })
  })

  it.each([
    ['a header of an unknown type', Buffer.from([1, 0x61, 10, 0])],
    ['a name that is longer than the headers', Buffer.from([9, 0x61])],
    ['a value that is longer than the headers', Buffer.from([1, 0x61, 7, 0, 9, 0x61])],
    ['a length that is cut', Buffer.from([1, 0x61, 7, 0])],
  ])('with %s is a parse error', (_, headers) => {
    const lengths = Buffer.alloc(8)
    lengths.writeUInt32BE(16 + headers.length)
    lengths.writeUInt32BE(headers.length, 4)
    const checksum = (bytes: Buffer) => {
      const sum = Buffer.alloc(4)
      sum.writeUInt32BE(crc32(bytes))
      return sum
    }
    const unsigned = Buffer.concat([lengths, checksum(lengths), headers])
    expect(run('eventstream', [Buffer.concat([unsigned, checksum(unsigned)])])).toEqual({ messages: [], notes: ['parse_error'] })
  })

  it('hands over the payload of an invoke event as it is', () => {
    const payload = '{"bytes":"eyJ1c2FnZSI6MX0="}'
    expect(run('eventstream', [event('chunk', payload)], { wantedKeys: () => ['usage'] }).messages).toEqual([['chunk', payload]])
  })

  it('takes the last of event type and exception type as the event', () => {
    const body = eventstreamMessage(
      [
        [':message-type', 'exception'],
        [':exception-type', 'modelStreamErrorException'],
      ],
      '{}',
    )
    expect(run('eventstream', [body]).messages).toEqual([['modelStreamErrorException', '{}']])
  })
})
