/** Odd requests, one a row: name, bytes, the statuses that tokenweir may answer with, and what the upstream may have seen. */

export interface OddRequest {
  readonly name: string
  /** Sent one after the other; a number is a pause in milliseconds. */
  readonly parts: readonly (string | number)[]
  /** Statuses of the answers, in order, by commas; alternatives by `|`. Nothing: no answer. */
  readonly answers: string
  /** `METHOD TARGET BODY` of each request that crosses. */
  readonly upstream: readonly string[]
  readonly halfClose?: boolean
  /** Fields of the first request at the upstream; `undefined` is absent. */
  readonly fields?: Readonly<Record<string, string | undefined>>
}

type More = Pick<OddRequest, 'fields'>
type Bytes = string | readonly (string | number)[]
const partsOf = (bytes: Bytes) => (typeof bytes === 'string' ? [bytes] : bytes)

const refused = (name: string, bytes: Bytes, answers = '400'): OddRequest => ({ name, parts: partsOf(bytes), answers, upstream: [] })

const passed = (name: string, bytes: Bytes, upstream: string | readonly string[] = 'GET /t', more: More = {}): OddRequest => {
  const seen = typeof upstream === 'string' ? [upstream] : upstream
  return { name, parts: partsOf(bytes), answers: seen.map(() => '200').join(','), upstream: seen, ...more }
}

/** A client that closes its side is taken to have left, as nginx does: it may get its answers, or none. `upstream` is the most that may cross. */
const left = (name: string, bytes: Bytes, upstream: readonly string[] = []): OddRequest => ({
  ...{ name, parts: partsOf(bytes), upstream, halfClose: true },
  answers: `|400${upstream
    .map(
      (_, index) =>
        `|${Array(index + 1)
          .fill('200')
          .join(',')}`,
    )
    .join('')}`,
})

const host = 'Host: a\r\n'
/** In the body of another: whoever reads it as a request has been tricked. */
const hidden = 'GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n'
const get = (fields = '', line = 'GET /t HTTP/1.1') => `${line}\r\n${host}${fields}\r\n`
const post = (fields: string, body: string, line = 'POST /t HTTP/1.1') => `${line}\r\n${host}${fields}\r\n${body}`
const line = (text: string) => get('', text)
const length = (value: string | number) => `Content-Length: ${value}\r\n`
const chunked = 'Transfer-Encoding: chunked\r\n'
const hello = '5\r\nhello\r\n0\r\n\r\n'
const sized = (value: string, body = 'hello') => post(length(value), body)
const coded = (value: string, body = hello) => post(`Transfer-Encoding: ${value}\r\n`, body)
const chunks = (body: string) => post(chunked, body)
/** A length that covers the hidden request, and a field that some read as chunked. */
const both = (field: string) => post(`${length(5 + hidden.length)}${field}\r\n`, `0\r\n\r\n${hidden}`)
const wholeBody = `POST /t 0\r\n\r\n${hidden}`
const upgrade = (protocol: string, more = '') => `Connection: Upgrade\r\nUpgrade: ${protocol}\r\n${more}`
const webSocket = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n'
const h2Settings = 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n'
const many = (count: number, one: (index: number) => string) => Array.from({ length: count }, (_, index) => one(index)).join('')

const lengthAndEncoding: readonly OddRequest[] = [
  refused('a length, then chunked', both('Transfer-Encoding: chunked')),
  refused('chunked, then a length', post(`${chunked}${length(4)}`, `0\r\n\r\n${hidden}`)),
  refused(
    'a length that ends inside the chunks',
    post(`${length(4)}${chunked}`, `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`),
  ),
  refused('a length of 0 and chunked', post(`${length(0)}${chunked}`, hello)),
  refused('encoding with a space before its colon', both('Transfer-Encoding : chunked')),
  refused('encoding with a tab before its colon', both('Transfer-Encoding\t: chunked')),
  refused('a length and xchunked', both('Transfer-Encoding: xchunked'), '400|501'),
  refused('a length and a quoted chunked', both('Transfer-Encoding: "chunked"'), '400|501'),
  refused('a length and identity', both('Transfer-Encoding: identity'), '400|501'),
  refused('a length and chunked behind a tab', both('Transfer-Encoding:\tchunked')),
  refused('a length and chunked behind a vertical tab', both('Transfer-Encoding:\x0bchunked')),
  refused('a length and chunked behind a form feed', both('Transfer-Encoding: \x0cchunked')),
  refused('a length and chunked before a vertical tab', both('Transfer-Encoding: chunked\x0b')),
  refused('a length and chunked behind a no-break space', both('Transfer-Encoding: \xa0chunked'), '400|501'),
  refused('a length and chunked with NUL', both('Transfer-Encoding: chunked\0')),
  refused('a length and chunked on a folded line', both('Transfer-Encoding:\r\n chunked')),
  refused('a length and chunked on a line that begins with a space', both(' Transfer-Encoding: chunked')),
  refused('a length and chunked behind a bare LF', both('X: y\nTransfer-Encoding: chunked')),
  refused('a length and chunked behind a bare CR', both('X: y\rTransfer-Encoding: chunked')),
  refused('a length and an empty encoding', both('Transfer-Encoding:'), '400|501'),
  refused('a length, chunked and another encoding', both('Transfer-Encoding: chunked\r\nTransfer-Encoding: cow'), '400|501'),
  refused('a length, another encoding and chunked', both('Transfer-Encoding: cow\r\nTransfer-Encoding: chunked'), '400|501'),
  refused('a length and chunked, identity', both('Transfer-Encoding: chunked, identity'), '400|501'),
  refused('a length and an encoding in HTTP/1.0', post(`Connection: keep-alive\r\n${length(5)}${chunked}`, hello, 'POST /t HTTP/1.0')),
  passed('a length and Transfer_Encoding', both('Transfer_Encoding: chunked'), wholeBody),
  passed('a length and X-Transfer-Encoding', both('X-Transfer-Encoding: chunked'), wholeBody),
]

const encodings: readonly OddRequest[] = [
  refused('identity', post('Transfer-Encoding: identity\r\n', ''), '501'),
  refused('gzip', post('Transfer-Encoding: gzip\r\n', ''), '501'),
  refused('xchunked', coded('xchunked'), '501'),
  refused('quoted chunked', coded('"chunked"'), '501'),
  refused('gzip, chunked', coded('gzip, chunked'), '501'),
  refused('chunked, gzip', coded('chunked, gzip'), '400|501'),
  refused('chunked, identity', coded('chunked, identity'), '400|501'),
  refused('identity, chunked', coded('identity, chunked'), '501'),
  refused('chunked, chunked', coded('chunked, chunked'), '400|501'),
  refused('chunked twice', post(`${chunked}${chunked}`, hello), '400|501'),
  refused('another encoding in a field before', post(`Transfer-Encoding: cow\r\n${chunked}`, hello), '501'),
  refused('another encoding in a field behind', post(`${chunked}Transfer-Encoding: cow\r\n`, hello), '400|501'),
  refused('chunked behind a comma', coded(', chunked'), '400|501'),
  refused('chunked before a comma', coded('chunked,'), '400|501'),
  refused('chunked with a parameter', coded('chunked;q=1'), '400|501'),
  refused('an empty encoding', coded(''), '400|501'),
  refused('chunked in HTTP/1.0', post(chunked, hello, 'POST /t HTTP/1.0'), '400|501'),
  passed('CHUNKED', coded('CHUNKED'), 'POST /t hello'),
  passed('chunked with spaces around it', coded('  chunked  '), 'POST /t hello'),
  passed('chunked named by Connection', post(`Connection: keep-alive, Transfer-Encoding\r\n${chunked}`, hello), 'POST /t hello'),
]

const lengths: readonly OddRequest[] = [
  refused('length twice, the same', post(`${length(5)}${length(5)}`, 'hello')),
  refused('length twice, different', post(`${length(5)}${length(0)}`, `hello${hidden}`)),
  ...['5, 5', '5, 0', '+5', '-5', '0x5', '5.0', '5 5', '1_0', '1e1', '', '99999999999999999999', '18446744073709551621'].map((value) =>
    refused(`length ${JSON.stringify(value)}`, sized(value)),
  ),
  refused('length of digits outside ASCII', sized('\xd9\xa5')),
  refused('length with a space before its colon', post('Content-Length : 5\r\n', 'hello')),
  refused('length with NUL', sized('5\0')),
  refused('length on a folded line', post('Content-Length:\r\n 5\r\n', 'hello')),
  refused('length with a folded line behind', post('Content-Length: 5\r\n 6\r\n', 'hello')),
  passed('length 05', sized('05'), 'POST /t hello'),
  passed('length before a tab', sized('5\t'), 'POST /t hello'),
  passed('Content_Length', post(`Content_Length: 5\r\n${length(5)}`, 'hello'), 'POST /t hello'),
  passed('no length, no body', post('', ''), 'POST /t'),
  passed(
    'length named by Connection',
    post(`Connection: keep-alive, Content-Length\r\n${length(hidden.length)}`, hidden),
    `POST /t ${hidden}`,
  ),
  passed('GET with a body', post(length(hidden.length), hidden, 'GET /t HTTP/1.1'), `GET /t ${hidden}`),
  passed('GET with chunks', post(chunked, hello, 'GET /t HTTP/1.1'), 'GET /t hello'),
  passed('HEAD with a body', post(length(hidden.length), hidden, 'HEAD /t HTTP/1.1'), `HEAD /t ${hidden}`),
  passed('DELETE with a body', post(length(5), 'hello', 'DELETE /t HTTP/1.1'), 'DELETE /t hello'),
  passed('OPTIONS with a body', post(length(hidden.length), hidden, 'OPTIONS /t HTTP/1.1'), `OPTIONS /t ${hidden}`),
  passed('DELETE with chunks', post(chunked, hello, 'DELETE /t HTTP/1.1'), 'DELETE /t hello'),
  refused('a length that is never filled', sized('50'), ''),
  refused('chunks that never end', chunks('5\r\nhello\r\n'), ''),
  left('a client that closes its side in its body', sized('50')),
  left('a client that closes its side in its chunks', chunks('5\r\nhello\r\n')),
]

const chunkDamage: readonly OddRequest[] = [
  ...['+5', '0x5', ' 5', '-5', '', '5_0', 'g', '5\0', '\xb2'].map((size) =>
    refused(`chunk size ${JSON.stringify(size)}`, chunks(`${size}\r\nhello\r\n0\r\n\r\n`)),
  ),
  refused('chunk size 2^64 + 5', chunks('10000000000000005\r\nhello\r\n0\r\n\r\n')),
  refused('chunk size of 17 digits', chunks('fffffffffffffffff\r\nhello\r\n0\r\n\r\n')),
  refused('chunk size before a bare LF', chunks('5\nhello\r\n0\r\n\r\n')),
  refused('chunk size before a bare CR', chunks('5\rXhello\r\n0\r\n\r\n')),
  refused('chunk before a bare LF', chunks('5\r\nhello\n0\r\n\r\n')),
  refused('chunk without its end', chunks('5\r\nhello0\r\n\r\n')),
  refused('chunk that is longer than its size', chunks('5\r\nhelloXX\r\n0\r\n\r\n')),
  refused('chunk with XX for its end', chunks('5\r\nhelloXX0\r\n\r\n')),
  refused('chunk extension before a bare LF', chunks('5;a\nhello\r\n0\r\n\r\n')),
  refused('chunk extension with a bare CR', chunks('5;a\rb\r\nhello\r\n0\r\n\r\n')),
  refused('chunk extension with CRLF in quotes', chunks('5;a="\r\n"\r\nhello\r\n0\r\n\r\n')),
  refused('chunk extension with NUL', chunks('5;a=\0\r\nhello\r\n0\r\n\r\n')),
  refused('chunk extension of 60 KB', chunks(`5;${'a'.repeat(60_000)}\r\nhello\r\n0\r\n\r\n`), '400|413|431'),
  refused('chunk extension that hides a request', chunks(`5;\n${hidden}hello\r\n0\r\n\r\n`)),
  refused('last chunk before a bare LF', chunks('5\r\nhello\r\n0\n\r\n')),
  refused('end of chunks by a bare LF', chunks('5\r\nhello\r\n0\r\n\n')),
  refused('end of chunks by two bare LF', chunks('5\r\nhello\r\n0\n\n')),
  passed('chunk extension', chunks('5;a=b\r\nhello\r\n0\r\n\r\n'), 'POST /t hello'),
  passed('chunk extension with a quoted value', chunks('5;a="b c"\r\nhello\r\n0;x\r\n\r\n'), 'POST /t hello'),
  passed('chunk size with zeros in front', chunks('0005\r\nhello\r\n0\r\n\r\n'), 'POST /t hello'),
  passed('last chunk 00', chunks('5\r\nhello\r\n00\r\n\r\n'), 'POST /t hello'),
  passed('chunk size in capitals', chunks('A\r\nhellohello\r\n0\r\n\r\n'), 'POST /t hellohello'),
  passed(
    'chunks byte by byte',
    [...post(chunked, hello)].flatMap((byte) => [byte, 1]),
    'POST /t hello',
  ),
  passed('an empty chunked body', chunks('0\r\n\r\n'), 'POST /t'),
  passed('a request behind the last chunk', chunks(`${hello}${get()}`), ['POST /t hello', 'GET /t']),
]

const trailers: readonly OddRequest[] = [
  passed('a trailer', post(`Trailer: X-T\r\n${chunked}`, '5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n'), 'POST /t hello'),
  passed('a trailer nobody announced', chunks('5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n'), 'POST /t hello'),
  refused('a trailer with a length', chunks('5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n')),
  passed('a trailer with a credential', chunks('5\r\nhello\r\n0\r\nAuthorization: x\r\n\r\n'), 'POST /t hello', {
    fields: { authorization: undefined },
  }),
  passed('a trailer with Host', chunks('5\r\nhello\r\n0\r\nHost: evil\r\n\r\n'), 'POST /t hello'),
  refused('a trailer before a bare LF', chunks('5\r\nhello\r\n0\r\nX: 1\n\r\n')),
  refused('a trailer with a bare CR', chunks('5\r\nhello\r\n0\r\nX: a\rY: b\r\n\r\n')),
  refused('a trailer without colon', chunks('5\r\nhello\r\n0\r\nGET /hidden HTTP/1.1\r\n\r\n')),
  refused('a trailer with a space in its name', chunks('5\r\nhello\r\n0\r\nX T: 1\r\n\r\n')),
  refused('a trailer with NUL', chunks('5\r\nhello\r\n0\r\nX: \0\r\n\r\n')),
  refused('a trailer of 100 KB', chunks(`5\r\nhello\r\n0\r\nX: ${'a'.repeat(100_000)}\r\n\r\n`), '400|431'),
]

const lines: readonly OddRequest[] = [
  refused('lines end with LF', 'GET /t HTTP/1.1\nHost: a\n\n', '400|505'),
  refused('the request line ends with LF', 'GET /t HTTP/1.1\nHost: a\r\n\r\n', '400|505'),
  refused('one line ends with LF', 'GET /t HTTP/1.1\r\nHost: a\nX: y\r\n\r\n'),
  refused('the head ends with LF', 'GET /t HTTP/1.1\r\nHost: a\r\n\n'),
  refused('lines end with CR', 'GET /t HTTP/1.1\rHost: a\r\r'),
  refused('CR in a value', get('X: a\rB: c\r\n')),
  refused('CR CR LF', get('X: a\r\r\n')),
  refused('NUL in a value', get('X: a\0b\r\n')),
  refused('NUL in a name', get('X\0: b\r\n')),
  refused('NUL in the target', line('GET /t\0 HTTP/1.1')),
  refused('NUL in front', `\0${get()}`),
  refused('a control character in a value', get('X: a\x01b\r\n')),
  refused('DEL in a value', get('X: a\x7fb\r\n')),
  refused('ESC in a value', get('X: a\x1b[31m\r\n')),
  refused('a folded line', get('X: a\r\n b\r\n')),
  refused('a folded line with a tab', get('X: a\r\n\tb\r\n')),
  refused('a folded line that holds a field', get('X: a\r\n Content-Length: 5\r\n')),
  refused('the first line of the fields is folded', 'GET /t HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n'),
  refused('space before a colon', get('X : a\r\n')),
  refused('tab before a colon', get('X\t: a\r\n')),
  refused('no colon', get('garbage\r\n')),
  refused('an empty name', get(': a\r\n')),
  refused('space in a name', get('X Y: a\r\n')),
  refused('a name outside ASCII', get('X\xff: a\r\n')),
  ...['(', '"', '/', '[', '{', '@', ';', '='].map((sign) => refused(`${sign} in a name`, get(`X${sign}: a\r\n`))),
  refused('space in front', ` ${get()}`),
  refused('garbage', 'garbage\r\n\r\n'),
  refused('a TLS handshake', '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03'),
  refused('a response for a request', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
  passed('a value outside ASCII', get('X: a\xffb\r\n'), 'GET /t', { fields: { x: 'a\xffb' } }),
  passed('an empty value', get('X:\r\n'), 'GET /t', { fields: { x: '' } }),
  passed('spaces and tabs around a value', get('X: \t a b \t\r\n'), 'GET /t', { fields: { x: 'a b' } }),
  passed('no space behind the colon', get('X:a\r\n'), 'GET /t', { fields: { x: 'a' } }),
  passed('CRLF in front', `\r\n\r\n${get()}`),
  passed('names that objects have', get('__proto__: a\r\nconstructor: b\r\n'), 'GET /t', {
    fields: { __proto__: 'a', constructor: 'b' } as never,
  }),
  passed('a repeated field', get('X: a\r\nX: b\r\n'), 'GET /t', { fields: { x: 'a, b' } }),
  passed(
    'a head byte by byte',
    [...get()].flatMap((byte) => [byte, 1]),
  ),
]

const hosts: readonly OddRequest[] = [
  refused('no Host', 'GET /t HTTP/1.1\r\n\r\n'),
  refused('two Hosts, the same', get(host)),
  refused('two Hosts, different', get('Host: evil\r\n')),
  refused('two Hosts, one spelt hOST', get('hOST: evil\r\n')),
  ...['a b', 'a/../b', 'a, b', 'a\tb', 'a:99999x', 'u@a', 'a?b', 'a#b', 'a\\b', 'a";for=6.6.6.6;x="', '[::1', '<a>'].map((value) =>
    refused(`Host ${JSON.stringify(value)}`, `GET /t HTTP/1.1\r\nHost: ${value}\r\n\r\n`),
  ),
  refused('Host on a folded line', 'GET /t HTTP/1.1\r\nHost: a\r\n b\r\n\r\n'),
  refused('Host with a space before its colon', 'GET /t HTTP/1.1\r\nHost : a\r\n\r\n'),
  passed('Host with a port', 'GET /t HTTP/1.1\r\nHost: a:80\r\n\r\n', 'GET /t', { fields: { 'x-forwarded-host': 'a:80' } }),
  passed('Host of IPv6', 'GET /t HTTP/1.1\r\nHost: [::1]:80\r\n\r\n', 'GET /t', { fields: { 'x-forwarded-host': '[::1]:80' } }),
  passed('Host in capitals', 'GET /t HTTP/1.1\r\nHost: A.Example\r\n\r\n'),
  passed('Host named by Connection', get('Connection: keep-alive, Host\r\n')),
  passed('no Host in HTTP/1.0', 'GET /t HTTP/1.0\r\n\r\n'),
]

const targets: readonly OddRequest[] = [
  passed('absolute form', line('GET http://evil/t HTTP/1.1')),
  passed('absolute form without path', line('GET http://evil HTTP/1.1'), 'GET /'),
  passed('absolute form with a query', line('GET http://evil?x=1 HTTP/1.1'), 'GET /?x=1'),
  passed('a path with ..', line('GET /../../etc/passwd HTTP/1.1'), 'GET /../../etc/passwd'),
  passed('a path of two slashes', line('GET //evil/t HTTP/1.1'), 'GET //evil/t'),
  passed('a query with everything', line('GET /t?a=b&c=%0d%0aX:+y HTTP/1.1'), 'GET /t?a=b&c=%0d%0aX:+y'),
  passed('bad percent signs', line('GET /t%zz%00 HTTP/1.1'), 'GET /t%zz%00'),
  passed('signs that belong in no target', line('GET /t"<>^`{|} HTTP/1.1'), 'GET /t"<>^`{|}'),
  passed('a backslash', line('GET /t\\a HTTP/1.1'), 'GET /t\\a'),
  passed('a target of 8 KB', line(`GET /${'a'.repeat(7999)} HTTP/1.1`), 'GET (8000 characters)'),
  refused('a target of 100 KB', line(`GET /${'a'.repeat(100_000)} HTTP/1.1`), '400|414|431'),
  passed('absolute form with another scheme', line('GET ftp://evil/t HTTP/1.1')),
  refused('javascript:', line('GET javascript:alert(1) HTTP/1.1'), '400|404'),
  refused('authority form', line('GET evil:80 HTTP/1.1'), '400|404'),
  refused('CONNECT', line('CONNECT evil:80 HTTP/1.1'), '405'),
  refused('CONNECT with a path', line('CONNECT /t HTTP/1.1'), '400|405'),
  refused('CONNECT with a hidden request', `${line('CONNECT evil:80 HTTP/1.1')}${hidden}`, '405'),
  refused('GET *', line('GET * HTTP/1.1'), '400|404'),
  refused('a target without slash', line('GET t HTTP/1.1'), '400|404'),
  refused('a target that begins with @', line('GET @evil/ HTTP/1.1'), '400|404'),
  refused('space in a target', line('GET /t a HTTP/1.1')),
  refused('tab in a target', line('GET /t\ta HTTP/1.1')),
  refused('CR in a target', line('GET /t\ra HTTP/1.1')),
  refused('DEL in a target', line('GET /t\x7f HTTP/1.1')),
  refused('no target', line('GET  HTTP/1.1')),
  passed('two spaces', line('GET  /t HTTP/1.1')),
  passed('two spaces before the version', line('GET /t  HTTP/1.1')),
  refused('space behind the version', line('GET /t HTTP/1.1 '), '400|505'),
  refused('tabs for spaces', line('GET\t/t\tHTTP/1.1')),
]

const versionsAndMethods: readonly OddRequest[] = [
  refused('HTTP/0.9', 'GET /t\r\n\r\n', '400|505'),
  refused('HTTP/0.9 by name', line('GET /t HTTP/0.9'), '400|505'),
  refused('HTTP/1.2', line('GET /t HTTP/1.2'), '400|505'),
  refused('HTTP/2.0', line('GET /t HTTP/2.0'), '505'),
  refused('HTTP/2.0 with a body', post(length(5), 'hello', 'POST /t HTTP/2.0'), '505'),
  refused('HTTP/3.0', line('GET /t HTTP/3.0'), '400|505'),
  refused('HTTP/9.9', line('GET /t HTTP/9.9'), '400|505'),
  refused('HTTP/01.1', line('GET /t HTTP/01.1'), '400|505'),
  refused('HTTP/1', line('GET /t HTTP/1'), '400|505'),
  refused('HTTP/1.10', line('GET /t HTTP/1.10'), '400|505'),
  refused('http/1.1', line('GET /t http/1.1'), '400|505'),
  refused('HTTP/1.1x', line('GET /t HTTP/1.1x'), '400|505'),
  refused('HTTP /1.1', line('GET /t HTTP /1.1'), '400|505'),
  refused('ICE/1.0', line('SOURCE /t ICE/1.0'), '400|505'),
  refused('RTSP/1.0', line('GET /t RTSP/1.0'), '400|505'),
  refused('the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', '400|505'),
  refused('a method in small letters', line('get /t HTTP/1.1')),
  refused('an unknown method', line('FOO /t HTTP/1.1'), '400|501'),
  refused('a method with a colon', line('GE:T /t HTTP/1.1')),
  refused('a method with NUL', line('GE\0T /t HTTP/1.1')),
  refused('a method of 60 KB', line(`${'A'.repeat(60_000)} /t HTTP/1.1`), '400|431'),
  passed('HTTP/1.0', line('GET /t HTTP/1.0')),
  passed('HTTP/1.0 that keeps its connection', `${get('Connection: keep-alive\r\n', 'GET /t HTTP/1.0')}`),
  passed('HEAD', line('HEAD /t HTTP/1.1'), 'HEAD /t'),
  passed('PATCH', post(length(5), 'hello', 'PATCH /t HTTP/1.1'), 'PATCH /t hello'),
  passed('PURGE', line('PURGE /t HTTP/1.1'), 'PURGE /t'),
  passed('OPTIONS', line('OPTIONS /t HTTP/1.1'), 'OPTIONS /t'),
]

const connections: readonly OddRequest[] = [
  passed('Connection names a credential', get('Authorization: Bearer k\r\nConnection: close, Authorization\r\n'), 'GET /t', {
    fields: { authorization: undefined, connection: 'keep-alive' },
  }),
  passed('Connection names X-Forwarded-For', get('X-Forwarded-For: 6.6.6.6\r\nConnection: close, X-Forwarded-For\r\n'), 'GET /t', {
    fields: { 'x-forwarded-for': '127.0.0.1' },
  }),
  passed('Connection names X in two fields', get('X: 1\r\nY: 1\r\nConnection: X\r\nConnection: Y\r\n'), 'GET /t', {
    fields: { x: undefined, y: undefined },
  }),
  passed('Connection holds garbage', get('Connection: ,,, \x80 ,;=\r\n')),
  passed(
    'fields of one connection',
    get('Proxy-Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nProxy-Authorization: Basic x\r\n'),
    'GET /t',
    {
      fields: { 'proxy-connection': undefined, 'keep-alive': undefined, te: undefined, 'proxy-authorization': undefined },
    },
  ),
  passed('a forged way', get('X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n'), 'GET /t', {
    fields: { 'x-forwarded-for': '1.1.1.1, 2.2.2.2, 127.0.0.1' },
  }),
  passed('Upgrade: h2c', get(upgrade('h2c', h2Settings)), 'GET /t', { fields: { upgrade: undefined } }),
  passed('Upgrade: websocket, h2c', get(upgrade('websocket, h2c', h2Settings)), 'GET /t', { fields: { upgrade: undefined } }),
  passed('Upgrade: h2c in a field of its own', get(`${upgrade('h2c')}Upgrade: websocket\r\n${h2Settings}`), 'GET /t', {
    fields: { upgrade: undefined },
  }),
  passed('Upgrade without Connection', get(`Upgrade: websocket\r\n${webSocket}`), 'GET /t', { fields: { upgrade: undefined } }),
  passed('Upgrade in HTTP/1.0', get(upgrade('websocket', webSocket), 'GET /t HTTP/1.0'), 'GET /t', { fields: { upgrade: undefined } }),
  passed('an upgrade that is not granted', get(upgrade('websocket', webSocket))),
  passed('an upgrade with a length of 0', post(`${upgrade('websocket')}${webSocket}${length(0)}`, '', 'GET /t HTTP/1.1')),
  passed('an upgrade with a body', post(`${upgrade('websocket')}${webSocket}${length(hidden.length)}`, hidden), `POST /t ${hidden}`),
  passed('an upgrade with chunks', post(`${upgrade('websocket')}${webSocket}${chunked}`, hello), 'POST /t hello'),
  passed('an upgrade and bytes of its protocol, not granted', `${get(upgrade('websocket', webSocket))}\x81\x02{}`),
  passed('Expect: 100-continue', post(`Expect: 100-continue\r\n${length(5)}`, 'hello'), 'POST /t hello', { fields: { expect: undefined } }),
  passed('Expect: 100-continue, and the body later', [post(`Expect: 100-continue\r\n${length(5)}`, ''), 50, 'hello'], 'POST /t hello'),
  passed('Expect: 100-continue in capitals', post(`Expect: 100-Continue\r\n${length(5)}`, 'hello'), 'POST /t hello'),
  passed('Expect: 100-continue without body', get('Expect: 100-continue\r\n')),
  refused('Expect: banana', post(`Expect: banana\r\n${length(5)}`, 'hello'), '417'),
  refused('Expect: banana, with a hidden request', post(`Expect: banana\r\n${length(hidden.length)}`, hidden), '417'),
  refused('Expect: y 100-continue', post(`Expect: y 100-continue\r\n${length(5)}`, 'hello'), '417'),
  refused('Expect: 100-continue, banana', post(`Expect: 100-continue, banana\r\n${length(5)}`, 'hello'), '417'),
]

const pipelines: readonly OddRequest[] = [
  passed('two requests at once', `${get('', 'GET /1 HTTP/1.1')}${get('', 'GET /2 HTTP/1.1')}`, ['GET /1', 'GET /2']),
  passed('a body and a request behind it', `${sized('5')}${get()}`, ['POST /t hello', 'GET /t']),
  passed('CRLF between two requests', `${sized('5')}\r\n${get()}`, ['POST /t hello', 'GET /t']),
  passed(
    'thirty requests at once',
    many(30, (index) => line(`GET /${index} HTTP/1.1`)),
    Array.from({ length: 30 }, (_, index) => `GET /${index}`),
  ),
  passed(
    'ten bodies at once',
    many(10, () => sized('5')),
    Array.from({ length: 10 }, () => 'POST /t hello'),
  ),
  passed('HEAD, then GET', `${line('HEAD /1 HTTP/1.1')}${line('GET /2 HTTP/1.1')}`, ['HEAD /1', 'GET /2']),
  passed('two requests, cut in the middle of the second', [`${get()}GET /2 HT`, 60, 'TP/1.1\r\nHost: a\r\n\r\n'], ['GET /t', 'GET /2']),
  passed('nothing is read behind Connection: close', `${get('Connection: close\r\n')}${hidden}`),
  passed('nothing is read behind HTTP/1.0', `${line('GET /t HTTP/1.0')}${hidden}`),
  { name: 'garbage behind a request', parts: [`${get()}GARBAGE\r\n\r\n`], answers: '200|200,400', upstream: ['GET /t'] },
  { name: 'garbage behind a body', parts: [`${sized('5')}GARBAGE\r\n\r\n`], answers: '200|200,400', upstream: ['POST /t hello'] },
  { name: 'a bad chunk behind a request', parts: [`${get()}${chunks('x\r\n')}`], answers: '200|200,400', upstream: ['GET /t'] },
  {
    name: 'two lengths behind a request',
    parts: [`${get()}${post(`${length(5)}${length(6)}`, 'hello!')}`],
    answers: '200,400',
    upstream: ['GET /t'],
  },
  { name: 'half a request behind a request', parts: [`${get()}GET /2 HT`], answers: '200', upstream: ['GET /t'] },
  left('a client that closes its side behind its request', get(), ['GET /t']),
  left('a client that closes its side behind its body', sized('5'), ['POST /t hello']),
  left('a client that closes its side behind two requests', `${line('GET /1 HTTP/1.1')}${line('GET /2 HTTP/1.1')}`, ['GET /1', 'GET /2']),
  left('a client that closes its side in the head', 'GET /t HTTP/1.1\r\nHost: a\r\n'),
  refused('half a head', 'GET /t HTTP/1.1\r\nHost: a\r\n', ''),
]

const sizes: readonly OddRequest[] = [
  passed('90 fields', get(many(90, (index) => `a${index}: b\r\n`))),
  passed('3,000 fields', get(many(3000, (index) => `a${index}: b\r\n`))),
  passed('a field of 8 KB', get(`X: ${'a'.repeat(8000)}\r\n`)),
  passed('cookies of 40 KB', get(many(10, (index) => `Cookie: c${index}=${'a'.repeat(4000)}\r\n`))),
  refused('a field of 200 KB', get(`X: ${'a'.repeat(200_000)}\r\n`), '400|431'),
  refused('a name of 100 KB', get(`${'X'.repeat(100_000)}: a\r\n`), '400|431'),
  refused('20,000 fields', get(many(20_000, (index) => `a${index}: b\r\n`)), '400|431'),
  passed('a body of 1 MB', sized(String(1 << 20), 'x'.repeat(1 << 20)), `POST /t (${1 << 20} bytes)`),
  passed('a body of 10,000 chunks', chunks(`${'1\r\nx\r\n'.repeat(10_000)}0\r\n\r\n`), 'POST /t (10000 bytes)'),
]

export const oddRequests: readonly OddRequest[] = [
  ...[
    lengthAndEncoding,
    encodings,
    lengths,
    chunkDamage,
    trailers,
    lines,
    hosts,
    targets,
    versionsAndMethods,
    connections,
    pipelines,
    sizes,
  ].flat(),
]
