/** Bodies of every framing with the messages that stand in them. Written for these tests. */
import type { Framing } from '../../src/lib/exchange.ts'
import { event, eventstreamMessage, webSocketClose, webSocketFrame } from './encode.ts'
import type { Seen } from './run.ts'

export interface Fixture {
  readonly name: string
  readonly framing: Framing
  readonly body: Buffer
  readonly messages: readonly Seen[]
  readonly notes: readonly string[]
}

const unnamed = (...data: string[]): Seen[] => data.map((text) => [undefined, text])
const fixture = (framing: Framing, name: string, body: string | Buffer, messages: readonly Seen[], notes: string[] = []): Fixture => ({
  name,
  framing,
  body: Buffer.from(body),
  messages,
  notes,
})

const chat = (text: string) => `{"id":"c-1","choices":[{"delta":{"content":${JSON.stringify(text)}},"finish_reason":null}],"usage":null}`
const chatUsage = '{"id":"c-1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}'
const messageStart = '{"type":"message_start","message":{"id":"m-1","usage":{"input_tokens":9,"output_tokens":1}}}'

const sse: Fixture[] = [
  fixture(
    'sse',
    'a chat stream with usage and [DONE]',
    `data: ${chat('Grüße, 世界 🌍')}\n\ndata: ${chat('"data: x"\n\n')}\n\ndata: ${chatUsage}\n\ndata: [DONE]\n\n`,
    unnamed(chat('Grüße, 世界 🌍'), chat('"data: x"\n\n'), chatUsage, '[DONE]'),
  ),
  fixture('sse', 'named events in CR LF', `event: message_start\r\ndata: ${messageStart}\r\n\r\nevent: ping\r\ndata: {}\r\n\r\n`, [
    ['message_start', messageStart],
    ['ping', '{}'],
  ]),
  fixture('sse', 'lines that end in CR', 'event:a\rdata:1\rdata:2\r\rdata:3\r\r', [
    ['a', '1\n2'],
    [undefined, '3'],
  ]),
  fixture('sse', 'line ends in every mixture', 'data:1\r\n\ndata:2\n\r\ndata:3\r\r\ndata:4\n\rdata:5\r\n\rdata:6\r\r\n\ndata:7\n\n', [
    ...unnamed('1', '2', '3', '4', '5', '6', '7'),
  ]),
  fixture('sse', 'a byte order mark', '\ufeffdata: {"a":1}\n\n\ufeffdata: no field\n\n', unnamed('{"a":1}')),
  fixture('sse', 'a byte order mark before a blank line', '\ufeff\n\ndata: 1\n\n', unnamed('1')),
  fixture(
    'sse',
    'comments, ids and fields that mean nothing',
    ': ping\n\nid: 7\nretry: 5\ndatas: x\ndat: x\ndata\nfoo\ndata: {}\n\n:\n\n',
    [[undefined, '\n{}']],
  ),
  fixture('sse', 'data with spaces, colons and nothing', 'data:  two\n\ndata: a: b\n\ndata:\n\ndata: \n\ndata\n\n', [
    ...unnamed(' two', 'a: b', '', '', ''),
  ]),
  fixture('sse', 'an event without data, whose name does not last', 'event: lost\n\ndata: 1\n\n', unnamed('1')),
  fixture('sse', 'an empty event name', 'event: x\nevent:\ndata: 1\n\n', unnamed('1')),
  fixture('sse', 'an event name in UTF-8 after its data', 'data: 1\nevent: größe\n\n', [['größe', '1']]),
  fixture('sse', 'no blank line at the end', `data: ${chat('x')}\n\ndata: ${chatUsage}\n`, unnamed(chat('x'), chatUsage)),
  fixture('sse', 'no line end at the end', 'event: e\ndata: 1\ndata: 2', [['e', '1\n2']]),
  fixture('sse', 'an error after the first events', 'data: {"a":1}\n\nevent: error\ndata: {"error":{"type":"overloaded"}}\n\n', [
    [undefined, '{"a":1}'],
    ['error', '{"error":{"type":"overloaded"}}'],
  ]),
  fixture('sse', 'only keep-alive comments', ': a\n\n: b\n\n', []),
  fixture('sse', 'only line ends', '\n\r\n\r\r', []),
  fixture('sse', 'a web page', '<html>\n<body>502</body>\n</html>', [], ['parse_error']),
]

const ndjson: Fixture[] = [
  fixture('ndjson', 'lines', '{"a":1}\n{"b":"ü\\n"}\n', unnamed('{"a":1}', '{"b":"ü\\n"}')),
  fixture('ndjson', 'CR LF, blank lines and blanks', '\r\n {"a":1} \r\n\r\n\n\t\n[2]\r\n', unnamed('{"a":1}', '[2]')),
  fixture('ndjson', 'no line end at the end', '{"a":1}\n{"b":2}', unnamed('{"a":1}', '{"b":2}')),
  fixture('ndjson', 'a byte order mark', '\ufeff{"a":1}\n', unnamed('{"a":1}')),
  fixture('ndjson', 'record separators', '\x1e{"a":1}\n\x1e{"b":2}\n', unnamed('{"a":1}', '{"b":2}')),
  fixture('ndjson', 'lines that are no JSON', 'oops\n{"a":1}\n<p>\n', unnamed('{"a":1}'), ['parse_error']),
]

const jsonArray: Fixture[] = [
  fixture('json-array', 'elements with brackets in strings', '[{"a":"}]\\""},\n{"b":[{"c":"\\\\"}]}\n]', [
    ...unnamed('{"a":"}]\\""}', '{"b":[{"c":"\\\\"}]}'),
  ]),
  fixture('json-array', 'white space everywhere', ' \n[\r\n\t{ "a" : [ ] }\n ,\n {"é":"世"} ] \n', unnamed('{ "a" : [ ] }', '{"é":"世"}')),
  fixture('json-array', 'elements of every kind', '[1, -2.5e3,"a,]\\"b",true,null ,[[],[3]],"",{}]', [
    ...unnamed('1', '-2.5e3', '"a,]\\"b"', 'true', 'null', '[[],[3]]', '""', '{}'),
  ]),
  fixture(
    'json-array',
    'runs of backslashes',
    '[{"a":"\\\\\\\\\\\\"},{"b":"\\\\\\""}]',
    unnamed('{"a":"\\\\\\\\\\\\"}', '{"b":"\\\\\\""}'),
  ),
  fixture('json-array', 'an object in place of the array', ' {"error":{"code":429,"details":[{"a":"]"}]}} ', [
    ...unnamed('{"error":{"code":429,"details":[{"a":"]"}]}}'),
  ]),
  fixture('json-array', 'an empty array', '[]', []),
  fixture('json-array', 'one array after another', '[{"a":1}]\n[{"b":2}]', unnamed('{"a":1}', '{"b":2}')),
  fixture('json-array', 'a byte order mark', '\ufeff[{"a":1}]', unnamed('{"a":1}')),
  fixture('json-array', 'a body that was cut in an element', '[{"a":1},{"b":"', unnamed('{"a":1}')),
  fixture('json-array', 'what is no JSON after an element', '[{"a":1} oops {"b":2}]', unnamed('{"a":1}'), ['parse_error']),
  fixture('json-array', 'objects with commas between them, but no brackets', '{"a":1},{"b":2}', unnamed('{"a":1}'), ['parse_error']),
  fixture('json-array', 'a number', ' 1', [], ['parse_error']),
  fixture('json-array', 'a web page', '<html></html>', [], ['parse_error']),
]

const chunkPayload = `{"bytes":"${Buffer.from('{"type":"ping"}').toString('base64')}","p":"abc"}`
const eventstream: Fixture[] = [
  fixture(
    'eventstream',
    'events',
    Buffer.concat([event('chunk', chunkPayload), event('metadata', '{"usage":{"inputTokens":1}}'), event('größe', '"ü"')]),
    [
      ['chunk', chunkPayload],
      ['metadata', '{"usage":{"inputTokens":1}}'],
      ['größe', '"ü"'],
    ],
  ),
  fixture(
    'eventstream',
    'an exception, headers of every type, no headers, no payload',
    Buffer.concat([
      eventstreamMessage([[':exception-type', 'throttlingException']], '{"message":"slow down"}'),
      eventstreamMessage(
        [
          ...(['true', 'false', 'byte', 'short', 'int', 'long', 'bytes', 'timestamp', 'uuid'] as const).map(
            (of, index) => [`h${index}`, { of }] as const,
          ),
          [':event-type', 'last'],
        ],
        '{}',
      ),
      eventstreamMessage([], '{}'),
      event('empty', ''),
    ]),
    [
      ['throttlingException', '{"message":"slow down"}'],
      ['last', '{}'],
      [undefined, '{}'],
      ['empty', ''],
    ],
  ),
  fixture('eventstream', 'a body that was cut in a message', Buffer.concat([event('a', '{}'), event('b', '{}').subarray(0, -1)]), [
    ['a', '{}'],
  ]),
  fixture('eventstream', 'a body that was cut in a prelude', Buffer.concat([event('a', '{}'), event('b', '{}').subarray(0, 11)]), [
    ['a', '{}'],
  ]),
  fixture('eventstream', 'what is no event-stream', 'data: {"a":1}\n\n', [], ['parse_error']),
]

const whole: Fixture[] = [
  fixture('whole', 'an object', '{"id":"x","usage":{"total_tokens":5}}', unnamed('{"id":"x","usage":{"total_tokens":5}}')),
  fixture('whole', 'white space that kept the connection alive', '\n   \n\n   \n{"é":1}\n', unnamed('\n   \n\n   \n{"é":1}\n')),
  fixture('whole', 'nothing', '', []),
]

const mask = [0x37, 0xfa, 0x21, 0x3d] as const
const more = true
const long = `{"usage":{"output_tokens":7},"text":"${'ü'.repeat(70)}"}`
const frames = (name: string, parts: readonly Buffer[], messages: readonly Seen[], notes: string[] = []) =>
  fixture('websocket', name, Buffer.concat(parts), messages, notes)

const websocket: Fixture[] = [
  frames('text in one frame', [webSocketFrame('{"a":1}'), webSocketFrame('{"usage":2}')], unnamed('{"a":1}', '{"usage":2}')),
  frames('masked text', [webSocketFrame('{"a":1}', { mask }), webSocketFrame(long, { mask })], unnamed('{"a":1}', long)),
  frames(
    'every way of writing a length',
    ([7, 16, 64] as const).map((lengthBits) => webSocketFrame('{}', { lengthBits })),
    unnamed('{}', '{}', '{}'),
  ),
  frames('lengths of two bytes', [webSocketFrame('x'.repeat(300)), webSocketFrame(long)], unnamed('x'.repeat(300), long)),
  frames(
    'a message in pieces, and control frames between them',
    [
      webSocketFrame(long.slice(0, 20), { more }),
      webSocketFrame('still there?', { opcode: 9 }),
      webSocketFrame(long.slice(20, 50), { more, opcode: 0, mask }),
      webSocketFrame('', { opcode: 10, mask }),
      webSocketFrame('', { more, opcode: 0 }),
      webSocketFrame(long.slice(50), { opcode: 0 }),
      webSocketFrame('{}'),
    ],
    unnamed(long, '{}'),
  ),
  frames('empty text', [webSocketFrame(''), webSocketFrame('', { mask }), webSocketFrame('1')], unnamed('', '', '1')),
  frames(
    'binary messages, whole and in pieces',
    [
      webSocketFrame('{"usage":1}', { opcode: 2 }),
      webSocketFrame('{"usage":', { opcode: 2, more }),
      webSocketFrame('1}', { opcode: 0, mask }),
      webSocketFrame('{}'),
    ],
    unnamed('{}'),
  ),
  frames('nothing behind a Close frame', [webSocketFrame('1'), webSocketClose(1000, 'bye'), webSocketFrame('2')], unnamed('1')),
  frames('a connection that was cut in a frame', [webSocketFrame('1'), webSocketFrame('{"a":1}').subarray(0, -1)], unnamed('1')),
  frames('a connection that was cut between frames', [webSocketFrame('1'), webSocketFrame('2', { more })], unnamed('1')),
  ...(
    [
      ['an opcode that means nothing', webSocketFrame('2', { opcode: 3 })],
      ['a control opcode that means nothing', webSocketFrame('2', { opcode: 11 })],
      ['compression that was not agreed', webSocketFrame('2', { reserved: 1 })],
      ['a second reserved bit', webSocketFrame('2', { reserved: 2 })],
      ['a third reserved bit', webSocketFrame('2', { reserved: 4 })],
      ['a continuation of nothing', webSocketFrame('2', { opcode: 0 })],
      ['a ping in pieces', webSocketFrame('2', { opcode: 9, more })],
      ['a ping of 126 bytes', webSocketFrame('x'.repeat(126), { opcode: 9 })],
      ['a compressed ping', webSocketFrame('', { opcode: 9, reserved: 1 })],
      ['a length beyond 2^53', Buffer.from('817f0040000000000000', 'hex')],
      ['text within text', Buffer.concat([webSocketFrame('2', { more }), webSocketFrame('3')])],
    ] as const
  ).map(([name, bytes]) => frames(name, [webSocketFrame('1'), bytes, webSocketFrame('4')], unnamed('1'), ['parse_error'])),
]

export const fixtures: readonly Fixture[] = [...sse, ...ndjson, ...jsonArray, ...eventstream, ...websocket, ...whole]
