/** Hostile answers, one a row: name, bytes, and what tokenweir's client may get of them. */

export interface HostileAnswer {
  readonly name: string
  /** Sent one after the other; a number is a pause in milliseconds. */
  readonly bytes: string | readonly (string | number)[]
  /** What the client may get: interim statuses, status and body, `cut` when it is not whole; alternatives by `|`. */
  readonly wanted: string
  readonly ending?: 'open' | 'close' | 'reset'
  /** Sent at the request's head, before its body. */
  readonly early?: boolean
  /** The client's own; by default a GET. */
  readonly request?: (target: string) => readonly (string | number)[]
  /** It ends by a limit of time: it is played beside the others. */
  readonly slow?: boolean
}

type More = Omit<HostileAnswer, 'name' | 'bytes' | 'wanted'>
const row = (name: string, bytes: HostileAnswer['bytes'], wanted: string, more: More = {}): HostileAnswer => ({
  name,
  bytes,
  wanted,
  ...more,
})

const close: More = { ending: 'close' }
const reset: More = { ending: 'reset' }
const slow: More = { slow: true }
const asked = (method: string, fields = '', body = ''): More => ({
  request: (target) => [`${method} ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`],
})
const head = asked('HEAD')
const webSocket = asked(
  'GET',
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n',
)
const upload = (size: number): More => ({
  request: (target) => [`POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`, 200, 'x'.repeat(size)],
  early: true,
})

/** An answer that nobody asked for: it must reach no client. */
const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Evil: 1\r\n\r\nEVIL!!'
const answer = (fields: string, body = '', status = '200 OK') => `HTTP/1.1 ${status}\r\n${fields}\r\n${body}`
const length = (value: string | number) => `Content-Length: ${value}\r\n`
const ok = answer(length(2), 'ok')
const chunkedField = 'Transfer-Encoding: chunked\r\n'
const last = '0\r\n\r\n'
const okChunks = `2\r\nok\r\n${last}`
const chunks = (body: string, fields = '') => answer(`${chunkedField}${fields}`, body)
const status = (line: string) => answer(length(2), 'ok', line)
const field = (line: string) => answer(`${line}\r\n${length(2)}`, 'ok')
const interim = (line: string, fields = '') => `HTTP/1.1 ${line}\r\n${fields}\r\n${ok}`
const upgraded = (fields: string, more = '') => `HTTP/1.1 101 Switching Protocols\r\n${fields}\r\n${more}`

const whole: readonly HostileAnswer[] = [
  row('a plain answer', ok, '200 ok'),
  row('a plain chunked answer', chunks(okChunks), '200 ok'),
  row(
    'an answer byte by byte',
    [...ok].flatMap((byte) => [byte, 1]),
    '200 ok',
  ),
  row(
    'chunks byte by byte',
    [...chunks(`2;x=y\r\nok\r\n0\r\nX: 1\r\n\r\n`)].flatMap((byte) => [byte, 1]),
    '200 ok',
  ),
  row('the end of the connection ends the answer', answer('', 'ok'), '200 ok', close),
  row('an empty answer that the connection ends', answer(''), '200', close),
  row('a length of 0', answer(length(0)), '200'),
  row('HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\nok', '200 ok', close),
  row('HTTP/1.0 with a length', `HTTP/1.0 200 OK\r\n${length(2)}\r\nok`, '200 ok', close),
  row('HTTP/1.0 that keeps its connection', `HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n${length(2)}\r\nok`, '200 ok'),
  row('a client of HTTP/1.0 and chunks', chunks(okChunks), '200 ok', {
    request: (target) => [`GET ${target} HTTP/1.0\r\nHost: a\r\n\r\n`],
  }),
  row('a client of HTTP/1.0 and a trailer', chunks('2\r\nok\r\n0\r\nX-T: 1\r\n\r\n', 'Trailer: X-T\r\n'), '200 ok', {
    request: (target) => [`GET ${target} HTTP/1.0\r\nHost: a\r\n\r\n`],
  }),
  row('500 with a body', status('500 X'), '500 ok'),
  row('an error with our own header', answer(`X-Tokenweir-Error: upstream_tls\r\n${length(2)}`, 'ok', '502 X'), '502 ok'),
  row('Proxy-Authenticate', answer(`Proxy-Authenticate: Basic\r\n${length(2)}`, 'ok', '407 X'), '407 ok'),
]

const behindTheEnd: readonly HostileAnswer[] = [
  row('a second answer at once', ok + evil, '200 ok'),
  row('a second answer a little later', [ok, 3, evil], '200 ok'),
  row('a second answer on the idle connection', [ok, 80, evil], '200 ok'),
  row('garbage on the idle connection', [ok, 80, 'garbage'], '200 ok'),
  row('CRLF on the idle connection', [ok, 80, '\r\n'], '200 ok'),
  row('one byte more', `${ok}X`, '200 ok'),
  row('half an answer more', `${ok}HTTP/1.1 200 OK\r\nContent-Le`, '200 ok'),
  row('a body behind a length of 0', answer(length(0), 'EVIL'), '200'),
  row('a second answer behind chunks', chunks(okChunks) + evil, '200 ok'),
  row('a second answer behind chunks, later', [chunks(okChunks), 3, evil], '200 ok'),
  row('a second answer behind no chunks', chunks(last) + evil, '200'),
  row('a second answer behind Connection: close', [answer(`Connection: close\r\n${length(2)}`, 'ok'), 50, evil], '200 ok'),
  row('an answer behind 204', answer('', evil, '204 No Content'), '204'),
  row('an answer behind 304', answer('', evil, '304 Not Modified'), '304'),
  row('HEAD and an answer behind it', answer(length(6), evil), '200', head),
  row('HEAD with a body', answer(length(6), 'EVIL!!'), '200', head),
  row('HEAD with chunks', chunks(`6\r\nEVIL!!\r\n${last}`), '200', head),
  row('204 with a length and a body', answer(length(6), 'EVIL!!', '204 No Content'), '204'),
  row('204 with chunks', chunks(`6\r\nEVIL!!\r\n${last}`).replace('200 OK', '204 No Content'), '204|502'),
  row('204 with a length of 0', answer(length(0), '', '204 No Content'), '204'),
  row('304 with a length and a body', answer(length(6), 'EVIL!!', '304 Not Modified'), '304'),
  row('304 with a length', answer(length(6), '', '304 Not Modified'), '304'),
  row('304 with chunks', chunks(`6\r\nEVIL!!\r\n${last}`).replace('200 OK', '304 Not Modified'), '304|502'),
  row('205 with a body', answer(length(2), 'ok', '205 Reset Content'), '205 ok|205'),
]

const interims: readonly HostileAnswer[] = [
  row('100', interim('100 Continue'), '200 ok|100 200 ok'),
  row('102', interim('102 Processing'), '102 200 ok|200 ok'),
  row('103', interim('103 Early Hints', 'Link: </a>\r\n'), '103 200 ok'),
  row('103 twice', `HTTP/1.1 103 E\r\nA: b\r\n\r\n${interim('103 E', 'C: d\r\n')}`, '103… 200 ok'),
  row('199', interim('199 X', 'A: b\r\n'), '199 200 ok|200 ok'),
  row('103 with a length of 0', interim('103 E', length(0)), '103 200 ok|200 ok|502'),
  row('103 with a length of 6', interim('103 E', length(6)), '103 200 ok|200 ok|502'),
  row('103 with chunks', `HTTP/1.1 103 E\r\n${chunkedField}\r\n${last}${ok}`, '103 502|502'),
  row('103 with Connection: close', interim('103 E', 'Connection: close\r\nX: y\r\n'), '103 200 ok|200 ok|103 502|502'),
  row('103 with Trailer', interim('103 E', 'Trailer: X\r\n'), '103 200 ok|200 ok'),
  row('103 of HTTP/1.0', `HTTP/1.0 103 E\r\n\r\n${ok}`, '103 200 ok|200 ok|103 502|502'),
  row('103 for a client of HTTP/1.0', interim('103 E', 'A: b\r\n'), '200 ok', {
    request: (target) => [`GET ${target} HTTP/1.0\r\nHost: a\r\n\r\n`],
  }),
  row('103 and nothing more', 'HTTP/1.1 103 E\r\nA: b\r\n\r\n', '103 502|502', close),
  row(
    '103 without end',
    ['HTTP/1.1 103 E\r\nA: b\r\n\r\n', ...Array.from({ length: 60 }, () => [150, 'HTTP/1.1 103 E\r\nA: b\r\n\r\n']).flat()],
    '103… 504',
    slow,
  ),
  row('10,000 times 103', `${'HTTP/1.1 103 E\r\nA: b\r\n\r\n'.repeat(10_000)}${ok}`, '103… 200 ok|103… 502'),
  row('101 unasked', upgraded('Upgrade: websocket\r\nConnection: upgrade\r\n', 'EVIL'), '502'),
  row('101 unasked, without fields', upgraded('', evil), '502'),
  row('101 to another protocol', upgraded('Upgrade: h2c\r\nConnection: upgrade\r\n', '\0\0'), '101|502', { ...webSocket, ...close }),
  row('101 without Upgrade', upgraded('Connection: upgrade\r\n', 'EVIL'), '502', webSocket),
  row('101', upgraded('Upgrade: websocket\r\nConnection: upgrade\r\n', '\x81\x02{}'), '101', { ...webSocket, ...close }),
  row('101 with a length', upgraded(`Upgrade: websocket\r\nConnection: upgrade\r\n${length(4)}`, '\x81\x02{}'), '101|502', {
    ...webSocket,
    ...close,
  }),
  row('426 to an upgrade', status('426 Upgrade Required'), '426 ok', webSocket),
  row('200 to an upgrade, and an answer behind it', ok + evil, '200 ok', webSocket),
  row('an upgrade offered', answer(`Upgrade: h2,h2c\r\nConnection: Upgrade\r\n${length(2)}`, 'ok'), '200 ok'),
]

const heads: readonly HostileAnswer[] = [
  row('CR in a value', field('X: a\rY: b'), '502'),
  row('LF in a value', field('X: a\nY: b'), '502'),
  row('NUL in a value', field('X: a\0b'), '502'),
  row('a control character in a value', field('X: a\x01b'), '502'),
  row('ESC in a value', field('X: a\x1b[31m'), '502'),
  row('a value outside ASCII', field('X: \xe9\xff'), '200 ok'),
  row('a folded line', field('X: a\r\n b'), '502'),
  row('a length on a folded line', answer('Content-Length:\r\n 2\r\n', 'ok'), '502'),
  row('a line that begins with a space', answer(` X: a\r\n${length(2)}`, 'ok'), '502'),
  row('space before a colon', answer('Content-Length : 2\r\n', 'ok'), '502'),
  row('space in a name', field('X Y: a'), '502'),
  row('no colon', field('garbage'), '502'),
  row('an empty name', field(': x'), '502'),
  row('lines end with LF', `HTTP/1.1 200 OK\nContent-Length: 2\n\nok`, '502'),
  row('one line ends with LF', `HTTP/1.1 200 OK\r\nA: b\n${length(2)}\r\nok`, '502'),
  row('the head ends with LF', `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok`, '502'),
  row('names that objects have', field('__proto__: x\r\nconstructor: y'), '200 ok'),
  row('Date twice', field('Date: x\r\nDate: y'), '200 ok'),
  row('Connection names Content-Length', field('Connection: keep-alive, Content-Length'), '200 ok'),
  row('Connection names Set-Cookie', field('Connection: Set-Cookie\r\nSet-Cookie: a=b'), '200 ok'),
  row('Connection: close, and it stays open', field('Connection: close'), '200 ok'),
  row('Keep-Alive: timeout=0', field('Keep-Alive: timeout=0'), '200 ok'),
  row('Keep-Alive with garbage', field('Keep-Alive: timeout=99999999999999999999, max=-1'), '200 ok'),
  row('Trailer with a length', answer(`Trailer: X-T\r\n${length(2)}`, 'ok'), '200 ok'),
  row('Trailer on 204', answer('Trailer: X-T\r\n', '', '204 No Content'), '204'),
  row('Trailer on 304', answer('Trailer: X-T\r\n', '', '304 Not Modified'), '304'),
  row('Trailer to HEAD', answer(`Trailer: X-T\r\n${length(2)}`), '200', head),
  row('Trailer where the connection ends the answer', answer('Trailer: X-T\r\n', 'ok'), '200 ok', close),
  row('200 cookies', field(Array.from({ length: 200 }, () => 'Set-Cookie: a=b').join('\r\n')), '200 ok'),
  row('a head of 20 KB', field(`X: ${'a'.repeat(20_000)}`), '200 ok'),
  row('a head of 2 MB', field(`X: ${'a'.repeat(2 << 20)}`), '502'),
  row(
    'a head without end',
    ['HTTP/1.1 200 OK\r\n', ...Array.from({ length: 400 }, () => [10, `X: ${'a'.repeat(5000)}\r\n`]).flat()],
    '502|504',
    slow,
  ),
  row(
    'a head byte by byte without end',
    ['HTTP/1.1 200 OK\r\nX: ', ...Array.from({ length: 60 }, () => [150, 'a']).flat()],
    '504|502',
    slow,
  ),
]

const statusLines: readonly HostileAnswer[] = [
  ...['099 X', '000 X', '99 X', '1000 X', '200x X', '+200 X', '2 X', ' 200 OK', '0x200 X'].map((line) =>
    row(`status line ${JSON.stringify(line)}`, status(line), '502'),
  ),
  row('status 600', status('600 X'), '600 ok|502'),
  row('status 999', status('999 X'), '999 ok|502'),
  row('no reason', status('200'), '200 ok'),
  row('an empty reason', status('200 '), '200 ok'),
  row('a tab for a space', `HTTP/1.1\t200 OK\r\n${length(2)}\r\nok`, '502'),
  row('a reason outside ASCII', status('200 \xe9\t'), '200 ok'),
  row('a reason with CR', status('200 a\rb'), '502'),
  row('a reason with NUL', status('200 a\0b'), '502|200 ok'),
  ...['HTTP/1.2', 'http/1.1', 'ICY', 'HTTP/11', 'HTTP/1.1x'].map((version) =>
    row(`version ${version}`, `${version} 200 OK\r\n${length(2)}\r\nok`, '502'),
  ),
  // undici's parser takes these for versions that it knows, and tells nobody; what the client gets is HTTP/1.1.
  ...['HTTP/2.0', 'HTTP/0.9', 'RTSP/1.0'].map((version) =>
    row(`version ${version}`, `${version} 200 OK\r\n${length(2)}\r\nok`, '502|200 ok'),
  ),
  row('CRLF in front', `\r\n${ok}`, '502|200 ok'),
  row('space in front', ` ${ok}`, '502'),
  row('HTTP/0.9', 'hello world', '502', close),
  row('a request for an answer', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', '502', close),
  row('a frame of HTTP/2', '\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64', '502', close),
  row('a TLS alert', '\x15\x03\x01\0\x02\x02\x46', '502', close),
  row('a banner of SSH', 'SSH-2.0-OpenSSH_9\r\n', '502', close),
]

const lengths: readonly HostileAnswer[] = [
  row('a length twice, the same', answer(`${length(2)}${length(2)}`, 'ok'), '502'),
  row('a length twice, different', answer(`${length(2)}${length(8)}`, 'ok'), '502'),
  ...['-1', '+2', '0x2', '2, 2', '2, 8', '', '2x', '2 2', '99999999999999999999', '18446744073709551618'].map((value) =>
    row(`length ${JSON.stringify(value)}`, answer(length(value), 'ok'), '502', close),
  ),
  row('length 002', answer(length('002'), 'ok'), '200 ok'),
  row('a length and chunks', answer(`${length(2)}${chunkedField}`, okChunks), '502', close),
  row('chunks and a length', answer(`${chunkedField}${length(2)}`, okChunks), '502', close),
  row('encoding gzip', answer('Transfer-Encoding: gzip\r\n', 'ok'), '502', close),
  row('encoding gzip, chunked', answer('Transfer-Encoding: gzip, chunked\r\n', okChunks), '502', close),
  row('encoding chunked, gzip', answer('Transfer-Encoding: chunked, gzip\r\n', okChunks), '502', close),
  row('encoding identity and a length', answer(`Transfer-Encoding: identity\r\n${length(2)}`, 'ok'), '502', close),
  row('encoding xchunked', answer('Transfer-Encoding: xchunked\r\n', okChunks), '502', close),
  row('encoding chunked twice', answer(`${chunkedField}${chunkedField}`, okChunks), '502', close),
  row('encoding CHUNKED', answer('Transfer-Encoding: CHUNKED\r\n', okChunks), '200 ok'),
  row('an empty encoding', answer('Transfer-Encoding:\r\n', 'ok'), '502', close),
  row('chunks in HTTP/1.0', `HTTP/1.0 200 OK\r\n${chunkedField}\r\n${okChunks}`, '502|200 ok', close),
]

const chunkDamage: readonly HostileAnswer[] = [
  ...['+2', '0x2', '-2', '', '2\0', ' 2', 'g', '2_', '10000000000000002', 'fffffffffffffffff'].map((size) =>
    row(`chunk size ${JSON.stringify(size)}`, chunks(`${size}\r\nok\r\n${last}`), '200 cut|502', close),
  ),
  row('chunk size before a bare LF', chunks(`2\nok\r\n${last}`), '200 cut|502', close),
  row('chunk before a bare LF', chunks(`2\r\nok\n${last}`), '200 cut|502', close),
  row('chunk without its end', chunks(`2\r\nok${last}`), '200 cut|502', close),
  row('chunk that is longer than its size', chunks(`2\r\nokXX\r\n${last}`), '200 cut|502', close),
  row('chunk extension', chunks(`2;a=b;c="d"\r\nok\r\n0;x\r\n\r\n`), '200 ok'),
  row('chunk extension of 3 KB', chunks(`2;a=${'x'.repeat(3000)}\r\nok\r\n${last}`), '200 ok'),
  row('chunk extension of 1 MB', chunks(`2;a=${'x'.repeat(1 << 20)}\r\nok\r\n${last}`), '200 cut|502|200 ok', close),
  row('chunk extension before a bare LF', chunks(`2;a\nok\r\n${last}`), '200 cut|502', close),
  row('chunk size with zeros in front', chunks(`000002\r\nok\r\n${last}`), '200 ok'),
  row('trailer', chunks('2\r\nok\r\n0\r\nX-T: 1\r\n\r\n', 'Trailer: X-T\r\n'), '200 ok'),
  row('trailer nobody announced', chunks('2\r\nok\r\n0\r\nX-T: 1\r\n\r\n'), '200 ok'),
  row('trailer with a cookie', chunks('2\r\nok\r\n0\r\nSet-Cookie: a=b\r\n\r\n'), '200 ok'),
  row('trailer with a length', chunks('2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n'), '200 cut|200 ok', close),
  row('trailer with a space in its name', chunks('2\r\nok\r\n0\r\nX T: 1\r\n\r\n'), '200 cut', close),
  row('trailer before a bare LF', chunks('2\r\nok\r\n0\r\nX: 1\n\r\n'), '200 cut', close),
  row('trailer of 2 MB', chunks(`2\r\nok\r\n0\r\nX: ${'a'.repeat(2 << 20)}\r\n\r\n`), '200 cut', close),
]

const cut: readonly HostileAnswer[] = [
  row('nothing, and the end', '', '502', close),
  row('nothing, and a reset', '', '502', reset),
  row('half a status line, and the end', 'HTTP/1.1 200 O', '502', close),
  row('half a head, and the end', `HTTP/1.1 200 OK\r\n${length(2)}`, '502', close),
  row('half a head, and a reset', `HTTP/1.1 200 OK\r\n${length(2)}`, '502', reset),
  row('a head and no body, and the end', answer(length(10)), '200 cut|502', close),
  row('half a body, and the end', answer(length(10), 'half'), '200 half cut|502', close),
  row('half a body, and a reset', answer(length(10), 'half'), '200 half cut|200 cut|502', reset),
  row('half a chunk, and the end', chunks('5\r\nhel'), '200 cut|502', close),
  row('no last chunk, and the end', chunks('2\r\nok\r\n'), '200 cut|502', close),
  row('no last chunk, and a reset', chunks('2\r\nok\r\n'), '200 cut|502', reset),
  row('the last chunk without its end, and the end', chunks('2\r\nok\r\n0\r\n'), '200 cut|502', close),
  // With no length told, an end and a reset look the same to many: haproxy and undici take what came.
  row('a reset ends the answer', answer('', 'ok'), '200 ok|200 ok cut|200 cut|502', reset),
  row('silence', '', '504', slow),
  row('silence behind the head', answer(length(10)), '200 cut', slow),
  row('silence in the body', answer(length(10), 'half'), '200 half cut', slow),
  row('silence in a chunk', chunks('5\r\nhel'), '200 cut', slow),
  row('silence behind a chunk', chunks('2\r\nok\r\n'), '200 cut', slow),
  row('silence in the trailers', chunks('2\r\nok\r\n0\r\nX: 1\r\n'), '200 cut', slow),
]

const early: readonly HostileAnswer[] = [
  row('413 before the body, which is read', answer(length(3), 'big', '413 X'), '413 big', upload(100_000)),
  row('413 before a large body', answer(length(3), 'big', '413 X'), '413 big', { ...upload(4 << 20), ...close }),
  row('200 before the body', ok, '200 ok', upload(100_000)),
  row('200 before the body, and an answer behind it', [ok, 60, evil], '200 ok', upload(100_000)),
  row('401 before the body, and a reset', answer(length(2), 'no', '401 X'), '401 no|502', { ...upload(100_000), ...reset }),
  row('100 that nobody asked for, before the body', interim('100 Continue'), '200 ok|100 200 ok', upload(1000)),
  row('417 to Expect', status('417 X'), '417 ok|100 417 ok', asked('POST', `Expect: 100-continue\r\n${length(2)}`, '{}')),
]

export const hostileAnswers: readonly HostileAnswer[] = [
  ...[whole, behindTheEnd, interims, heads, statusLines, lengths, chunkDamage, cut, early].flat(),
]
