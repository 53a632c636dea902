import { describe, expect, it } from 'vitest'
import type { Framing } from '../../src/lib/exchange.ts'
import { event, eventstreamMessage, webSocketFrame } from './encode.ts'
import { bytewise, everyCut, run, type Seen } from './run.ts'

const messageBytesMax = 64
const unnamed = (...data: string[]): Seen[] => data.map((text) => [undefined, text])

/** A JSON object of that many bytes. */
const sized = (bytes: number) => `{"a":"${'x'.repeat(bytes - 8)}"}`
const fits = sized(64)
const tooLong = sized(65)
const huge = sized(900)

interface Case {
  readonly framing: Framing
  readonly what: string
  readonly body: string | Buffer
  readonly messages: readonly Seen[]
  readonly notes?: readonly string[]
}

const cases: Case[] = [
  {
    framing: 'sse',
    what: 'a line',
    body: `data: ${tooLong}\n\ndata: ${fits}\n\ndata: ${huge}\n\ndata: 1\n\n`,
    messages: unnamed(fits, '1'),
  },
  { framing: 'sse', what: 'lines', body: `data: ${sized(32)}\ndata: ${sized(32)}\nid: 1\n\ndata: 1\n\n`, messages: unnamed('1') },
  { framing: 'sse', what: 'a line of several', body: `data: a\ndata: ${huge}\ndata: b\n\ndata: 1\n\n`, messages: unnamed('1') },
  { framing: 'sse', what: 'an event name', body: `event: ${huge}\ndata: a\n\ndata: 1\n\n`, messages: unnamed('1') },
  { framing: 'sse', what: 'the last line', body: `data: 1\n\ndata: ${huge}`, messages: unnamed('1') },
  { framing: 'sse', what: 'the last event', body: `data: 1\n\ndata: ${huge}\n`, messages: unnamed('1') },
  {
    framing: 'sse',
    what: 'no event',
    body: `\ufeffdata: ${fits}\r\n\r\ndata: ${sized(31)}\rdata: ${sized(32)}\r\r`,
    messages: unnamed(fits, `${sized(31)}\n${sized(32)}`),
    notes: [],
  },
  { framing: 'ndjson', what: 'a line', body: `${tooLong}\n${fits}\r\n${huge}\n{}`, messages: unnamed(fits, '{}') },
  { framing: 'ndjson', what: 'the last line', body: `{}\n${huge}`, messages: unnamed('{}') },
  { framing: 'ndjson', what: 'blanks', body: `${' '.repeat(90)}{}\n{}`, messages: unnamed('{}') },
  { framing: 'json-array', what: 'an element', body: `[${tooLong}, ${fits},${huge},{}]`, messages: unnamed(fits, '{}') },
  { framing: 'json-array', what: 'a scalar', body: `["${'x'.repeat(70)}",${'1'.repeat(70)},2]`, messages: unnamed('2') },
  { framing: 'json-array', what: 'an object', body: `${huge}\n${fits}`, messages: unnamed(fits) },
  {
    framing: 'eventstream',
    what: 'a message',
    body: Buffer.concat([
      eventstreamMessage([], 'x'.repeat(48)),
      eventstreamMessage([], 'y'.repeat(49)),
      event('big', huge),
      eventstreamMessage([], '{}'),
    ]),
    messages: unnamed('x'.repeat(48), '{}'),
  },
  {
    framing: 'websocket',
    what: 'a frame',
    body: Buffer.concat([tooLong, fits, huge, '{}'].map((text) => webSocketFrame(text))),
    messages: unnamed(fits, '{}'),
  },
  {
    framing: 'websocket',
    what: 'the pieces of a message',
    body: Buffer.concat([
      webSocketFrame(tooLong.slice(0, 40), { more: true }),
      webSocketFrame(tooLong.slice(40), { opcode: 0, more: true }),
      webSocketFrame('', { opcode: 0 }),
      webSocketFrame(fits.slice(0, 40), { more: true }),
      webSocketFrame(fits.slice(40), { opcode: 0 }),
    ]),
    messages: unnamed(fits),
  },
  {
    framing: 'websocket',
    what: 'nothing: binary is not kept',
    body: Buffer.concat([webSocketFrame(huge, { opcode: 2 }), webSocketFrame('1')]),
    messages: unnamed('1'),
    notes: [],
  },
  { framing: 'whole', what: 'the body', body: tooLong, messages: [] },
  { framing: 'whole', what: 'the body many times', body: huge, messages: [] },
  { framing: 'whole', what: 'nothing', body: fits, messages: unnamed(fits), notes: [] },
]

describe('a limit on messages', () => {
  it.each(cases)('leaves out of $framing what is longer ($what), says so once, and goes on', ({ framing, body, messages, notes }) => {
    const expected = { messages, notes: notes ?? ['limit_hit'] }
    for (const { how, chunks } of everyCut(Buffer.from(body))) {
      expect({ how, ...run(framing, chunks, { messageBytesMax }) }).toEqual({ how, ...expected })
    }
  })

  it('is four megabytes where none is given', () => {
    const line = (bytes: number) => Buffer.from(`${sized(bytes)}\n`)
    const { messages, notes } = run('ndjson', [line(4 * 2 ** 20), line(4 * 2 ** 20 + 1)])
    expect({ bytes: messages.map(([, data]) => data.length), notes }).toEqual({ bytes: [4 * 2 ** 20], notes: ['limit_hit'] })
  })

  it('of fewer bytes than an event-stream prelude still lets the body be read over', () => {
    const body = Buffer.concat([event('a', '{}'), event('b', '{}')])
    expect(run('eventstream', bytewise(body), { messageBytesMax: 4 })).toEqual({ messages: [], notes: ['limit_hit'] })
  })
})
