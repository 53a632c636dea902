/** Responses as they may stand on the wire, good and hostile, with what has to come of each. */

export interface Parsed {
  /** Status and flat list of fields of each interim response. */
  readonly interim?: readonly (readonly [number, readonly string[]])[]
  readonly status: number
  readonly statusText?: string
  readonly fields: readonly string[]
  readonly body: string
  readonly trailers?: readonly string[]
}

export interface Sample {
  readonly name: string
  readonly method?: 'HEAD'
  /** latin1 */
  readonly wire: string
  /** The upstream ends the connection behind it. */
  readonly ends?: true
  /** A fault's code, or what is told: a fault may come behind a head or a part of a body. */
  readonly expected: Parsed | string
  /** Whether node:http accepts it, where we do not or the other way round, and why. */
  readonly node?: { readonly accepts: boolean; readonly because: string }
}

const ok = 'HTTP/1.1 200 OK\r\n'
const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`
const chunkedFields = ['Transfer-Encoding', 'chunked']
const rubbishBehind = { accepts: false, because: 'the answer was complete; its connection is not used again' }
const stricter = { accepts: true, because: 'undici refuses it' }

const parsed = (fields: readonly string[], body: string, more: Partial<Parsed> = {}): Parsed => ({
  ...{ status: 200, fields, body },
  ...more,
})

/** What node:http makes of it: the parser is the same. */
const likeNode = parsed([], '')

const good: readonly Sample[] = [
  { name: 'a length', wire: `${ok}Content-Length: 5\r\n\r\nhello`, expected: parsed(['Content-Length', '5'], 'hello') },
  { name: 'no body', wire: `${ok}Content-Length: 0\r\n\r\n`, expected: parsed(['Content-Length', '0'], '') },
  {
    name: 'leading zeros in a length',
    wire: `${ok}Content-Length: 005\r\n\r\nhello`,
    expected: parsed(['Content-Length', '005'], 'hello'),
  },
  {
    name: 'no reason phrase',
    wire: 'HTTP/1.1 200\r\nA: b\r\nContent-Length: 0\r\n\r\n',
    expected: parsed(['A', 'b', 'Content-Length', '0'], '', { statusText: '' }),
  },
  {
    name: 'an empty reason phrase',
    wire: 'HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n',
    expected: parsed(['Content-Length', '0'], '', { statusText: '' }),
  },
  {
    name: 'latin1 and tabs',
    wire: 'HTTP/1.1 299 Tres\tbien\r\nX: \xe9\tb\xff\r\nContent-Length: 0\r\n\r\n',
    expected: parsed(['X', '\xe9\tb\xff', 'Content-Length', '0'], '', { status: 299, statusText: 'Tres\tbien' }),
  },
  {
    name: 'white space around values',
    wire: `${ok}A:  \t b c \t\r\nB:\r\nC:x\r\nContent-Length: 0\r\n\r\n`,
    expected: parsed(['A', 'b c', 'B', '', 'C', 'x', 'Content-Length', '0'], ''),
  },
  {
    name: 'repeats, order and case',
    wire: `${ok}Set-Cookie: a\r\nX: 1\r\nset-cookie: b\r\ncontent-LENGTH: 0\r\n\r\n`,
    expected: parsed(['Set-Cookie', 'a', 'X', '1', 'set-cookie', 'b', 'content-LENGTH', '0'], ''),
  },
  {
    name: 'every character of a token',
    wire: `${ok}!#$%&'*+-.^_\`|~09azAZ: v\r\nContent-Length: 0\r\n\r\n`,
    expected: parsed(["!#$%&'*+-.^_`|~09azAZ", 'v', 'Content-Length', '0'], ''),
  },
  {
    name: 'colons in a value',
    wire: `${ok}A: b:c::\r\nContent-Length: 0\r\n\r\n`,
    expected: parsed(['A', 'b:c::', 'Content-Length', '0'], ''),
  },
  { name: 'chunks', wire: `${chunked}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`, expected: parsed(chunkedFields, 'hello world') },
  { name: 'chunks with CRLF inside', wire: `${chunked}4\r\n\r\n\r\n\r\n1\r\n0\r\n0\r\n\r\n`, expected: parsed(chunkedFields, '\r\n\r\n0') },
  {
    name: 'sizes in upper and lower case, with zeros',
    wire: `${chunked}0a\r\n0123456789\r\n00B\r\n0123456789a\r\n000\r\n\r\n`,
    expected: parsed(chunkedFields, '01234567890123456789a'),
  },
  {
    name: 'Chunked in upper case',
    wire: `${ok}transfer-encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n`,
    expected: parsed(['transfer-encoding', 'CHUNKED'], 'a'),
  },
  { name: 'chunk extensions', wire: `${chunked}1;a=b;c="d; \\" \\\\e";f\r\na\r\n0;last\r\n\r\n`, expected: parsed(chunkedFields, 'a') },
  {
    name: 'trailers',
    wire: `${chunked}1\r\na\r\n0\r\nX-Sum: 1 \r\nx-b:\xe9\r\n\r\n`,
    expected: parsed(chunkedFields, 'a', { trailers: ['X-Sum', '1', 'x-b', '\xe9'] }),
  },
  { name: 'no chunk but the last', wire: `${chunked}0\r\n\r\n`, expected: parsed(chunkedFields, '') },
  {
    name: 'a body up to the end of the connection',
    ends: true,
    wire: `${ok}A: b\r\n\r\nhello\r\n\r\n`,
    expected: parsed(['A', 'b'], 'hello\r\n\r\n'),
  },
  { name: 'an empty body up to the end of the connection', ends: true, wire: `${ok}\r\n`, expected: parsed([], '') },
  {
    name: 'Connection: close',
    wire: `${ok}Connection: x, Close\r\nContent-Length: 1\r\n\r\na`,
    expected: parsed(['Connection', 'x, Close', 'Content-Length', '1'], 'a'),
  },
  {
    name: 'close and keep-alive',
    wire: `${ok}Connection: keep-alive\r\nConnection: close\r\nContent-Length: 1\r\n\r\na`,
    expected: parsed(['Connection', 'keep-alive', 'Connection', 'close', 'Content-Length', '1'], 'a'),
  },
  {
    name: 'HTTP/1.0',
    wire: 'HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na',
    expected: parsed(['Content-Length', '1'], 'a'),
  },
  {
    name: 'HTTP/1.0 keep-alive',
    wire: 'HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\na',
    expected: parsed(['Connection', 'Keep-Alive', 'Content-Length', '1'], 'a'),
  },
  {
    name: 'chunks in HTTP/1.0',
    wire: 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    expected: parsed(['Connection', 'keep-alive', 'Transfer-Encoding', 'chunked'], ''),
  },
  { name: 'a 204', wire: 'HTTP/1.1 204 No Content\r\nA: b\r\n\r\n', expected: parsed(['A', 'b'], '', { status: 204 }) },
  {
    name: 'a 304 with the length of what it stands for',
    wire: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
    expected: parsed(['Content-Length', '9'], '', { status: 304 }),
  },
  {
    name: 'an answer to HEAD',
    method: 'HEAD',
    wire: `${ok}Content-Length: 9\r\n\r\n`,
    expected: parsed(['Content-Length', '9'], ''),
  },
  { name: 'an answer to HEAD with chunks', method: 'HEAD', wire: chunked, expected: parsed(chunkedFields, '') },
  {
    name: 'interim responses',
    wire: `HTTP/1.1 103 Early Hints\r\nLink: a\r\nLink: b\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${ok}Content-Length: 1\r\n\r\na`,
    expected: parsed(['Content-Length', '1'], 'a', {
      interim: [
        [103, ['Link', 'a', 'Link', 'b']],
        [102, []],
      ],
    }),
  },
  {
    name: 'more bytes than were announced',
    wire: `${ok}Content-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`,
    expected: parsed(['Content-Length', '1'], 'a'),
  },
  {
    name: 'bytes behind the last chunk',
    wire: `${chunked}1\r\na\r\n0\r\n\r\nevil`,
    node: rubbishBehind,
    expected: parsed(chunkedFields, 'a'),
  },
  {
    name: 'a body behind a 204',
    wire: 'HTTP/1.1 204 No Content\r\n\r\nevil',
    node: rubbishBehind,
    expected: parsed([], '', { status: 204 }),
  },
  {
    name: 'an unknown status',
    wire: 'HTTP/1.1 799 X\r\nContent-Length: 0\r\n\r\n',
    expected: parsed(['Content-Length', '0'], '', { status: 799 }),
  },
  {
    name: '2,000 fields',
    wire: `${ok}${Array.from({ length: 2000 }, (_, i) => `x-${i}: ${i}\r\n`).join('')}Content-Length: 0\r\n\r\n`,
    expected: parsed([...Array.from({ length: 2000 }, (_, i) => [`x-${i}`, `${i}`]).flat(), 'Content-Length', '0'], ''),
  },
]

const head = (lines: string) => `${ok}${lines}\r\nContent-Length: 0\r\n\r\n`
const bad: readonly Sample[] = [
  { name: 'another protocol', wire: 'SSH-2.0-OpenSSH_9.9\r\n', expected: 'BAD_STATUS_LINE' },
  { name: 'HTTP/2', wire: 'HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n', expected: likeNode },
  { name: 'HTTP/0.9', wire: 'HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n', expected: likeNode },
  { name: 'HTTP/1.2', wire: 'HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n', expected: 'BAD_STATUS_LINE' },
  { name: 'lower-case http', wire: 'http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', expected: 'BAD_STATUS_LINE' },
  { name: 'a status of two digits', wire: 'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n', expected: 'BAD_STATUS_LINE' },
  { name: 'a status of four digits', wire: 'HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n', expected: 'BAD_STATUS_LINE' },
  { name: 'status 099', wire: 'HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n', expected: 'BAD_STATUS_LINE', node: stricter },
  { name: 'two spaces before the status', wire: 'HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n', expected: 'BAD_STATUS_LINE' },
  { name: 'an empty line before the status line', wire: `\r\n${ok}Content-Length: 0\r\n\r\n`, expected: likeNode },
  {
    name: 'a control character in the reason phrase',
    wire: 'HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n',
    expected: likeNode,
    node: { accepts: true, because: 'the character is taken out' },
  },
  {
    name: 'a bare LF behind the status line',
    wire: 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n',
    expected: 'BAD_STATUS_LINE',
  },
  { name: 'bare LFs', wire: 'HTTP/1.1 200 OK\nContent-Length: 0\n\n', expected: 'BAD_FIELD' },
  { name: 'a bare LF behind a field', wire: head('A: b\nB: c'), expected: 'BAD_FIELD' },
  { name: 'a bare CR in a value', wire: head('A: b\rB: c'), expected: 'BAD_FIELD' },
  { name: 'a bare CR before CRLF', wire: head('A: b\r'), expected: 'BAD_FIELD' },
  { name: 'a folded line', wire: head('A: b\r\n c'), expected: 'BAD_FIELD' },
  { name: 'a folded line at the beginning', wire: head(' A: b'), expected: 'BAD_FIELD' },
  { name: 'white space before the colon', wire: head('A : b'), expected: 'BAD_FIELD' },
  {
    name: 'white space in Transfer-Encoding’s name',
    wire: `${ok}Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\nhello`,
    expected: 'BAD_FIELD',
  },
  { name: 'no name', wire: head(': b'), expected: 'BAD_FIELD' },
  { name: 'no colon', wire: head('A'), expected: 'BAD_FIELD' },
  { name: 'a name beyond ASCII', wire: head('\xe4: b'), expected: 'BAD_FIELD' },
  { name: 'NUL in a name', wire: head('A\0: b'), expected: 'BAD_FIELD' },
  { name: 'NUL in a value', wire: head('A: b\0c'), expected: 'BAD_FIELD' },
  { name: 'a control character in a value', wire: head('A: b\x1fc'), expected: 'BAD_FIELD' },
  { name: 'DEL in a value', wire: head('A: b\x7fc'), expected: 'BAD_FIELD' },
  { name: 'two different lengths', wire: `${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`, expected: 'BAD_LENGTH' },
  { name: 'two equal lengths', wire: `${ok}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`, expected: 'BAD_LENGTH' },
  { name: 'a list of equal lengths', wire: `${ok}Content-Length: 1, 1\r\n\r\na`, expected: 'BAD_LENGTH' },
  ...['+1', '-1', '0x1', '1 1', '1.0', '1e0', '', 'a', '٣', '9999999999999999', '99999999999999999999999999'].map(
    (value): Sample => ({
      ...{
        name: `the length ${JSON.stringify(value)}`,
        wire: Buffer.from(`${ok}Content-Length: ${value}\r\n\r\na`).toString('latin1'),
        expected: 'BAD_LENGTH',
      },
    }),
  ),
  { name: 'chunks and a length', wire: `${ok}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`, expected: 'BAD_LENGTH' },
  { name: 'a length and chunks', wire: `${ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, expected: 'BAD_LENGTH' },
  ...['gzip, chunked', 'chunked, gzip', 'gzip', 'identity', 'xchunked', 'chunked;q=1', '"chunked"', '', 'chunked, chunked'].map(
    (value): Sample => ({
      ...{ name: `the transfer coding ${JSON.stringify(value)}`, wire: `${ok}Transfer-Encoding: ${value}\r\n\r\n0\r\n\r\n`, ends: true },
      ...{
        expected: 'BAD_TRANSFER_CODING',
        ...(value === ''
          ? {}
          : { node: { accepts: true, because: 'it reads to the end, and the coding, a field of one hop, would be lost' } }),
      },
    }),
  ),
  {
    name: 'chunked twice',
    wire: `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    expected: 'BAD_TRANSFER_CODING',
    node: { accepts: true, because: 'the coding, a field of one hop, would be lost' },
  },
  {
    name: 'a 101 nobody asked for',
    wire: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    expected: 'BAD_INTERIM',
  },
  {
    name: 'a 100 nobody asked for',
    wire: `HTTP/1.1 100 Continue\r\n\r\n${ok}Content-Length: 0\r\n\r\n`,
    expected: parsed(['Content-Length', '0'], '', { interim: [[100, []]] }),
  },
  {
    name: 'a 103 with a length',
    wire: `HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n${ok}Content-Length: 0\r\n\r\n`,
    expected: likeNode,
  },
  {
    name: 'a 103 with chunks',
    wire: `HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n${ok}Content-Length: 0\r\n\r\n`,
    expected: likeNode,
  },
  ...[
    '',
    'g',
    'zz',
    '-1',
    '+1',
    '0x1',
    ' 1',
    '1 ',
    '1\t',
    '1,',
    '1;',
    '1;;a',
    '1; a',
    '1;a=',
    '1;a="b',
    '1;a="\x01"',
    '1;\x01',
    '1;a b',
    'fffffffffffffffff',
    '20000000000000',
  ].map(
    (size): Sample => ({
      ...{ name: `the chunk size ${JSON.stringify(size)}`, wire: `${chunked}${size}\r\na\r\n0\r\n\r\n` },
      ...{ expected: ['1;;a', '1;a='].includes(size) ? likeNode : 'BAD_CHUNK' },
      ...(size === '20000000000000' ? { node: { accepts: false, because: 'it waits for nine petabytes' } } : {}),
    }),
  ),
  { name: 'a bare LF behind a chunk size', wire: `${chunked}1\na\r\n0\r\n\r\n`, expected: 'BAD_CHUNK' },
  { name: 'a bare LF behind a chunk extension', wire: `${chunked}1;a\na\r\n0\r\n\r\n`, expected: 'BAD_CHUNK' },
  { name: 'a bare CR behind a chunk size', wire: `${chunked}1\ra\r\n0\r\n\r\n`, expected: 'BAD_CHUNK' },
  { name: 'a chunk that is longer than its size', wire: `${chunked}1\r\nab\r\n0\r\n\r\n`, expected: 'BAD_CHUNK' },
  { name: 'a bare LF behind a chunk', wire: `${chunked}1\r\na\n0\r\n\r\n`, expected: 'BAD_CHUNK' },
  { name: 'a bare CR behind a chunk', wire: `${chunked}1\r\na\r0\r\n\r\n`, expected: 'BAD_CHUNK' },
  { name: 'chunk extensions without an end', wire: `${chunked}1;${'a'.repeat(20_000)}`, expected: 'BAD_CHUNK' },
  { name: 'a control character in a trailer', wire: `${chunked}0\r\nA: \x01\r\n\r\n`, expected: 'BAD_FIELD' },
  { name: 'a bare LF behind a trailer', wire: `${chunked}0\r\nA: b\n\r\n\r\n`, expected: 'BAD_FIELD' },
  { name: 'a folded trailer', wire: `${chunked}0\r\nA: b\r\n c\r\n\r\n`, expected: 'BAD_FIELD' },
  { name: 'Content-Length as a trailer', wire: `${chunked}0\r\nContent-Length: 5\r\n\r\n`, expected: 'BAD_FIELD' },
  {
    name: 'Transfer-Encoding as a trailer',
    wire: `${chunked}0\r\nTransfer-Encoding: chunked\r\n\r\n`,
    expected: likeNode,
  },
  { name: 'a head that is too large', wire: head(`A: ${'a'.repeat(70_000)}`), expected: 'HEAD_TOO_LARGE' },
  { name: 'a head without an end', wire: `${ok}${'A: b\r\n'.repeat(12_000)}`, expected: 'HEAD_TOO_LARGE' },
  {
    name: 'trailers that are too large',
    wire: `${chunked}0\r\n${'A: b\r\n'.repeat(12_000)}\r\n`,
    expected: likeNode,
  },
  {
    name: 'interim responses without an end',
    wire: `HTTP/1.1 103 Early Hints\r\nLink: ${'a'.repeat(60_000)}\r\n\r\n`.repeat(20),
    expected: 'HEAD_TOO_LARGE',
  },
  { name: 'half a status line', ends: true, wire: 'HTTP/1.', expected: 'CLOSED' },
  { name: 'half a head', ends: true, wire: `${ok}A: b\r\n`, expected: 'CLOSED' },
  { name: 'an interim response alone', ends: true, wire: 'HTTP/1.1 103 Early Hints\r\n\r\n', expected: 'CLOSED' },
  { name: 'nothing', ends: true, wire: '', expected: 'CLOSED' },
  { name: 'less than was announced', ends: true, wire: `${ok}Content-Length: 5\r\n\r\nhell`, expected: 'CLOSED' },
  { name: 'half a chunk', ends: true, wire: `${chunked}5\r\nhell`, expected: 'CLOSED' },
  { name: 'no CRLF behind a chunk', ends: true, wire: `${chunked}5\r\nhello`, expected: 'CLOSED' },
  { name: 'no last chunk', ends: true, wire: `${chunked}5\r\nhello\r\n`, expected: 'CLOSED' },
  { name: 'half a last chunk', ends: true, wire: `${chunked}0\r\n`, expected: 'CLOSED' },
  { name: 'half a trailer', ends: true, wire: `${chunked}0\r\nA: b\r\n`, expected: 'CLOSED' },
]

export const samples: readonly Sample[] = [...good, ...bad]
