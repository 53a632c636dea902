import { constants, createDeflateRaw, deflateRawSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { createInflater, type InflaterLimits } from '../../src/observe/decode/inflater.ts'
import { createFramer } from '../../src/observe/frames/choose.ts'
import { createWebSocketFramer } from '../../src/observe/frames/websocket.ts'
import { webSocketClose, webSocketFrame } from './encode.ts'
import { bytewise, everyCut, randomCuts, run, type Seen, seeded } from './run.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const unnamed = (...data: string[]): Seen[] => data.map((text) => [undefined, text])

describe('the examples of RFC 6455 §5.7', () => {
  it.each([
    ['unmasked text', '81 05 48 65 6c 6c 6f', ['Hello']],
    ['masked text', '81 85 37 fa 21 3d 7f 9f 4d 51 58', ['Hello']],
    ['text in pieces', '01 03 48 65 6c  80 02 6c 6f', ['Hello']],
    ['a ping', '89 05 48 65 6c 6c 6f', []],
    ['a masked pong', '8a 85 37 fa 21 3d 7f 9f 4d 51 58', []],
    ['256 bytes of binary', `82 7e 01 00 ${'00'.repeat(256)}`, []],
    ['64 KiB of binary', `82 7f 00 00 00 00 00 01 00 00 ${'00'.repeat(65536)}`, []],
  ])('%s', (_name, bytes, messages) => {
    expect(run('websocket', [hex(`${bytes} 81 01 31`)])).toEqual({ messages: unnamed(...messages, '1'), notes: [] })
  })
})

describe('a Close frame', () => {
  it.each([
    ['with a code', webSocketClose(1001, 'going away'), [1001]],
    ['with a code of its own, masked', webSocketClose(4000, '', { mask: [1, 2, 3, 4] }), [4000]],
    ['without a code', webSocketClose(), [undefined]],
    ['with half a code', webSocketFrame('1', { opcode: 8 }), [undefined]],
    ['that is not whole', webSocketClose(1000).subarray(0, -1), []],
    ['after another', Buffer.concat([webSocketClose(1000), webSocketClose(1001)]), [1000]],
    ['amid a message', Buffer.concat([webSocketFrame('1', { more: true }), webSocketClose(1000)]), [1000]],
  ])('%s is told', (_name, bytes, expected) => {
    for (const { chunks } of everyCut(bytes)) {
      const codes: (number | undefined)[] = []
      const framer = createWebSocketFramer({ onMessage: () => {}, onNote: () => {}, onClose: (code) => codes.push(code) })
      for (const chunk of chunks) framer.push(chunk)
      expect(codes).toEqual(expected)
    }
  })
})

describe('a chunk', () => {
  it('is not changed by what is masked in it', () => {
    const chunk = webSocketFrame('{"a":1}', { mask: [9, 8, 7, 6] })
    const before = Buffer.from(chunk)
    createFramer('websocket', { onMessage: () => {}, onNote: () => {} }).push(chunk)
    expect(chunk).toEqual(before)
  })
})

interface Inflated {
  readonly messages: readonly string[]
  readonly notes: readonly string[]
}

/** Frames with permessage-deflate agreed, to the end of what is inflated. */
function inflate(chunks: Iterable<Uint8Array>, limits: InflaterLimits = { messageBytesMax: 100_000 }): Promise<Inflated> {
  return new Promise((resolve, reject) => {
    const messages: string[] = []
    const notes: string[] = []
    let close: ((onClosed: () => void) => void) | undefined
    let closed = false
    const framer = createWebSocketFramer({
      onMessage: ({ data }) => (closed ? reject(new Error('a message after the end')) : messages.push(data.toString())),
      onNote: (note) => notes.push(note),
      messageBytesMax: limits.messageBytesMax,
      createInflater: (sink) => {
        const inflater = createInflater(sink, limits)
        close = inflater.close
        return inflater
      },
    })
    for (const chunk of chunks) framer.push(chunk)
    framer.end()
    close?.(() => {
      closed = true
      setImmediate(() => resolve({ messages, notes }))
    })
  })
}

describe('the examples of RFC 7692 §7.2.3', () => {
  it.each([
    ['one block', 'c1 07 f2 48 cd c9 c9 07 00', ['Hello']],
    ['in pieces', '41 03 f2 48 cd 80 04 c9 c9 07 00', ['Hello']],
    ['twice, the second time by reference', 'c1 07 f2 48 cd c9 c9 07 00  c1 05 f2 00 11 00 00', ['Hello', 'Hello']],
    ['a block without compression', 'c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00', ['Hello']],
    ['two blocks in one message', 'c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00', ['Hello']],
  ])('%s', async (_name, bytes, messages) => {
    expect(await inflate([hex(bytes)])).toEqual({ messages, notes: [] })
  })

  it('a block marked as the last one is not understood, and said so', async () => {
    expect(await inflate([hex('c1 08 f3 48 cd c9 c9 07 00 00')])).toEqual({ messages: [], notes: ['parse_error'] })
  })
})

/** Payloads as a sender with or without context takeover compresses them (RFC 7692 §7.2.1). */
async function compressed(texts: readonly string[], takeover: boolean, windowBits: number): Promise<Buffer[]> {
  const encoder = createDeflateRaw({ windowBits })
  const payloads: Buffer[] = []
  for (const text of texts) {
    if (!takeover) {
      payloads.push(deflateRawSync(text, { windowBits, finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4))
      continue
    }
    const parts: Buffer[] = []
    const onData = (part: Buffer) => parts.push(part)
    encoder.on('data', onData)
    encoder.write(text)
    await new Promise<void>((done) => encoder.flush(constants.Z_SYNC_FLUSH, done))
    encoder.off('data', onData)
    payloads.push(Buffer.concat(parts).subarray(0, -4))
  }
  return payloads
}

const texts = Array.from(
  { length: 40 },
  (_, index) => `{"type":"response.output_text.delta","n":${index},"delta":"${'river '.repeat(index % 7)}"}`,
)

describe('permessage-deflate', () => {
  it.each([
    [true, 15],
    [true, 9],
    [false, 15],
    [false, 10],
  ])('is undone with context takeover %s and a window of %i bits', async (takeover, windowBits) => {
    const payloads = await compressed(texts, takeover, windowBits)
    const random = seeded(windowBits)
    const bytes = Buffer.concat(
      payloads.flatMap((payload, index) => {
        const half = Math.floor(payload.length / 2)
        if (index % 3 === 0) return [webSocketFrame(payload, { reserved: 1, mask: [1, 2, 3, 4] })]
        const pieces = [
          webSocketFrame(payload.subarray(0, half), { reserved: 1, more: true }),
          webSocketFrame('?', { opcode: 9 }),
          webSocketFrame(payload.subarray(half), { opcode: 0 }),
        ]
        return index % 3 === 1 ? pieces : [...pieces, webSocketFrame(`plain ${index}`)]
      }),
    )
    const expected = texts.flatMap((text, index) => (index % 3 === 2 ? [text, `plain ${index}`] : [text]))
    for (const chunks of [[bytes], bytewise(bytes), randomCuts(bytes, random), randomCuts(bytes, random)]) {
      expect(await inflate(chunks)).toEqual({ messages: expected, notes: [] })
    }
  })

  it('of a binary message is undone too, for the messages that refer to it', async () => {
    const [first, second] = await compressed(['{"a":"rivers and weirs"}', '{"a":"rivers and weirs"}'], true, 15)
    const bytes = [webSocketFrame(first ?? '', { opcode: 2, reserved: 1 }), webSocketFrame(second ?? '', { reserved: 1 })]
    expect(await inflate(bytes)).toEqual({ messages: ['{"a":"rivers and weirs"}'], notes: [] })
  })

  it('costs only the one message that is too long, and says so once', async () => {
    const bomb = 'x'.repeat(5_000_000)
    const payloads = await compressed(['{"a":1}', bomb, '{"a":1}', bomb, '{"b":2}'], true, 15)
    const bytes = payloads.map((payload) => webSocketFrame(payload, { reserved: 1 }))
    expect(await inflate(bytes, { messageBytesMax: 1000 })).toEqual({ messages: ['{"a":1}', '{"a":1}', '{"b":2}'], notes: ['limit_hit'] })
  })

  it('ends where more waits than may', async () => {
    const payloads = await compressed(texts, true, 15)
    const bytes = payloads.map((payload) => webSocketFrame(payload, { reserved: 1 }))
    const limits = { messageBytesMax: 1000, queuedBytesMax: 200 }
    expect(await inflate([...bytes, webSocketFrame('plain')], limits)).toEqual({ messages: ['plain'], notes: ['limit_hit'] })
  })

  it('that is none ends the reading of what is compressed', async () => {
    const bytes = [webSocketFrame(hex('ffffff'), { reserved: 1 }), webSocketFrame(hex('f248cdc9c90700'), { reserved: 1 })]
    expect(await inflate([...bytes, webSocketFrame('plain')])).toEqual({ messages: ['plain'], notes: ['parse_error'] })
  })

  it('is only claimed by the first frame of a message', async () => {
    const bytes = [webSocketFrame('a', { more: true }), webSocketFrame('b', { opcode: 0, reserved: 1 })]
    expect(await inflate(bytes)).toEqual({ messages: [], notes: ['parse_error'] })
  })

  it('never throws on garbage', async () => {
    const random = seeded(7692)
    const payloads = await compressed(texts, true, 15)
    for (let turn = 0; turn < 150; turn++) {
      const bytes = Buffer.concat(payloads.map((payload) => webSocketFrame(payload, { reserved: 1 })))
      for (let changes = 0; changes < 3; changes++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256)
      const { messages } = await inflate(randomCuts(bytes, random))
      expect(messages.length).toBeLessThanOrEqual(2 * texts.length)
    }
  })
})
