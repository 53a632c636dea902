/** Secrets in every place where clients, upstreams and settings have them: one a row. Each is a word of its own, so that a leak says which. */

export interface Planted {
  readonly name: string
  /** The bytes of a request; the connection ends with its answer. */
  readonly bytes: (secret: string) => string
  /** The answer's bytes, where the secret is the upstream's. */
  readonly answer?: (secret: string) => string
  /** Who gets it: a secret that reaches nobody is no test. By default the upstream, or the client where the upstream answers with it. */
  readonly reaches?: 'upstream' | 'client' | 'nobody'
}

const body = JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hello' }] })
const post = (target: string, fields: string, content = body, type = 'application/json') =>
  `POST ${target} HTTP/1.1\r\nHost: a\r\n${fields}Content-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(content)}\r\nConnection: close\r\n\r\n${content}`
const chat = '/v1/chat/completions'
const base64 = (text: string) => Buffer.from(text).toString('base64')

const inField = (name: string, value: (secret: string) => string = (secret) => secret): Planted => ({
  name: `${name}: ${value('…')}`,
  bytes: (secret) => post(chat, `${name}: ${value(secret)}\r\n`),
})
const jwt = (secret: string) => `${base64('{"alg":"HS256"}')}.${Buffer.from(JSON.stringify({ sub: secret })).toString('base64url')}.c2ln`

const authorizations: readonly Planted[] = [
  inField('Authorization', (secret) => `Bearer ${secret}`),
  inField('authorization', (secret) => `bearer   ${secret}`),
  inField('AUTHORIZATION', (secret) => `BEARER ${secret}`),
  { name: 'Authorization: Basic', bytes: (secret) => post(chat, `Authorization: Basic ${base64(`user:${secret}`)}\r\n`) },
  inField('Authorization'),
  inField('Authorization', (secret) => `Token ${secret}`),
  inField('Authorization', (secret) => `Key ${secret}`),
  inField('Authorization', (secret) => `ApiKey ${secret}`),
  inField('Authorization', (secret) => `Digest username="a", response="${secret}"`),
  inField('Authorization', (secret) => `Negotiate ${secret}`),
  inField('Authorization', (secret) => `AWS4-HMAC-SHA256 Credential=${secret}/20260101/us-east-1/bedrock/aws4_request, Signature=0`),
  inField('Authorization', (secret) => `AWS4-HMAC-SHA256 Credential=A/B, Signature=${secret}`),
  inField('Authorization', (secret) => `SharedAccessSignature sr=x&sig=${secret}`),
  { name: 'Authorization: a JWT', bytes: (secret) => post(chat, `Authorization: Bearer ${jwt(secret)}\r\n`) },
  { name: 'Authorization twice', bytes: (secret) => post(chat, `Authorization: Bearer x\r\nAuthorization: Bearer ${secret}\r\n`) },
]

const keyFields: readonly Planted[] = [
  ...['x-api-key', 'X-Api-Key', 'api-key', 'x-goog-api-key', 'Ocp-Apim-Subscription-Key', 'x-amz-security-token', 'x-litellm-api-key'],
  ...['x-portkey-api-key', 'x-portkey-virtual-key', 'cf-aig-authorization', 'x-access-token', 'x-auth-token', 'x-functions-key'],
  ...['private-token', 'x-csrf-token', 'x-forwarded-access-token', 'x-ms-token-aad-access-token', 'x-original-authorization'],
].map((name) => inField(name))

const otherFields: readonly Planted[] = [
  inField('Helicone-Auth', (secret) => `Bearer ${secret}`),
  inField('x-portkey-config', (secret) => JSON.stringify({ api_key: secret })),
  inField('Cookie', (secret) => `session=${secret}; theme=dark`),
  inField('Referer', (secret) => `https://app.example/?token=${secret}`),
  inField('baggage', (secret) => `token=${secret}`),
  { name: 'x-api-key twice', bytes: (secret) => post(chat, `x-api-key: x\r\nx-api-key: ${secret}\r\n`) },
  { name: 'Cookie twice', bytes: (secret) => post(chat, `Cookie: a=b\r\nCookie: sid=${secret}\r\n`) },
  {
    name: 'Proxy-Authorization',
    bytes: (secret) => post(chat, `Proxy-Authorization: Basic ${base64(`u:${secret}`)}\r\n`),
    reaches: 'nobody',
  },
  { name: 'a field that Connection names', bytes: (secret) => post(chat, `X-Key: ${secret}\r\nConnection: X-Key\r\n`), reaches: 'nobody' },
  {
    name: 'a trailer of the request',
    bytes: (secret) =>
      `POST ${chat} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Api-Key: ${secret}\r\n\r\n`,
    reaches: 'nobody',
  },
]

const targets: readonly Planted[] = [
  ...['key', 'api_key', 'api-key', 'apikey', 'access_token', 'token', 'sig', 'X-Amz-Signature', 'code', 'password', 'k%65y'].map(
    (name): Planted => ({
      name: `?${name}=`,
      bytes: (secret) => post(`/v1beta/models/gemini-2.0-flash:generateContent?alt=sse&${name}=${secret}`, '', '{}'),
    }),
  ),
  { name: 'a query without name', bytes: (secret) => post(`${chat}?${secret}`, '') },
  { name: 'a fragment', bytes: (secret) => post(`${chat}#${secret}`, '') },
  { name: 'a password in the target', bytes: (secret) => post(`http://user:${secret}@gateway.example${chat}`, ''), reaches: 'nobody' },
  { name: 'a user in the target', bytes: (secret) => post(`http://${secret}@gateway.example${chat}`, ''), reaches: 'nobody' },
]

const inBody = (name: string, content: (secret: string) => object): Planted => ({
  name,
  bytes: (secret) => post(chat, '', JSON.stringify({ model: 'gpt-4o', ...content(secret) })),
})

const bodies: readonly Planted[] = [
  inBody('the prompt', (secret) => ({ messages: [{ role: 'user', content: secret }] })),
  inBody('a tool', (secret) => ({ tools: [{ type: 'mcp', headers: { Authorization: `Bearer ${secret}` } }] })),
  inBody('api_key in the body', (secret) => ({ api_key: secret })),
  inBody('user in the body', (secret) => ({ user: secret })),
  inBody('metadata in the body', (secret) => ({ metadata: { token: secret } })),
  inBody('an image', (secret) => ({ image_url: `https://blob.example/i.png?sig=${secret}` })),
  inBody('a stop sequence', (secret) => ({ stop: [secret] })),
  inBody('a streamed request', (secret) => ({ stream: true, prompt: secret })),
  { name: 'half a JSON body', bytes: (secret) => post(chat, '', `{"model":"gpt-4o","key":"${secret}`) },
  { name: 'a form', bytes: (secret) => post('/v1/oauth/token', '', `client_secret=${secret}`, 'application/x-www-form-urlencoded') },
  {
    name: 'an upload',
    bytes: (secret) =>
      post(
        '/v1/files',
        '',
        `--b\r\nContent-Disposition: form-data; name="key"\r\n\r\n${secret}\r\n--b--\r\n`,
        'multipart/form-data; boundary=b',
      ),
  },
]

const answered = (
  name: string,
  fields: string,
  content: (secret: string) => string,
  status = '200 OK',
  type = 'application/json',
): Planted => ({
  name,
  bytes: () => post(`${chat}?of=${encodeURIComponent(name)}`, ''),
  answer: (secret) => {
    const text = content(secret)
    return `HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\n${fields.replace('…', secret)}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
  },
  reaches: 'client',
})
const event = (content: object) => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'gpt-4o', ...content })}\n\n`
const completion = (message: object) =>
  JSON.stringify({
    id: 'c',
    object: 'chat.completion',
    model: 'gpt-4o',
    choices: [{ index: 0, message }],
    usage: { prompt_tokens: 1, completion_tokens: 2 },
  })
const failed = (message: string) => JSON.stringify({ error: { message, type: 'invalid_request_error', code: 'invalid_api_key' } })

const answers: readonly Planted[] = [
  answered('the text of an answer', '', (secret) => completion({ content: secret })),
  answered('arguments of a tool call', '', (secret) =>
    completion({ tool_calls: [{ function: { name: 'f', arguments: `{"key":"${secret}"}` } }] }),
  ),
  answered('reasoning', '', (secret) => completion({ reasoning_content: secret })),
  answered('401 that repeats the key', '', (secret) => failed(`Incorrect API key provided: ${secret}`), '401 Unauthorized'),
  answered('403 that repeats the key as text', '', (secret) => `key ${secret} is not allowed`, '403 Forbidden', 'text/plain'),
  answered(
    '400 of FastAPI that repeats the input',
    '',
    (secret) => JSON.stringify({ detail: [{ msg: 'bad', input: secret }] }),
    '400 Bad Request',
  ),
  answered('500 with a stack', '', (secret) => `Traceback: connect(password=${secret})`, '500 Internal Server Error', 'text/plain'),
  answered('502 of a page', '', (secret) => `<html>${secret}</html>`, '502 Bad Gateway', 'text/html'),
  { ...answered('a reason phrase', '', () => ''), answer: (secret) => `HTTP/1.1 401 ${secret}\r\nContent-Length: 2\r\n\r\n{}` },
  answered('Set-Cookie', 'Set-Cookie: sid=…; HttpOnly\r\n', () => '{}'),
  answered('WWW-Authenticate', 'WWW-Authenticate: Bearer error="…"\r\n', () => '{}', '401 Unauthorized'),
  answered('Location', 'Location: https://blob.example/?sig=…\r\n', () => '', '302 Found'),
  answered(
    'a stream',
    '',
    (secret) => `${event({ choices: [{ index: 0, delta: { content: secret } }] })}data: [DONE]\n\n`,
    '200 OK',
    'text/event-stream',
  ),
  answered('an error in a stream', '', (secret) => `data: ${failed(`bad key ${secret}`)}\n\n`, '200 OK', 'text/event-stream'),
  answered('a stream that is no JSON', '', (secret) => `data: {"choices":"${secret}\n\n`, '200 OK', 'text/event-stream'),
  answered('half a JSON answer', '', (secret) => `{"id":"c","choices":[{"message":{"content":"${secret}"`),
  {
    name: 'an answer that is cut',
    bytes: () => post(`${chat}?of=an%20answer%20that%20is%20cut`, ''),
    answer: (secret) =>
      `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9000\r\n\r\n${event({ choices: [{ delta: { content: secret } }] })}`,
    reaches: 'client',
  },
  {
    name: 'a trailer of the answer',
    bytes: () => post(`${chat}?of=a%20trailer%20of%20the%20answer`, ''),
    answer: (secret) => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Key\r\n\r\n2\r\n{}\r\n0\r\nX-Key: ${secret}\r\n\r\n`,
    reaches: 'client',
  },
  {
    name: 'an answer that is no HTTP',
    bytes: () => post(`${chat}?of=an%20answer%20that%20is%20no%20HTTP`, ''),
    answer: (secret) => `-ERR wrong password ${secret}\r\n`,
    reaches: 'nobody',
  },
]

const upgrade = (target: string, fields: string) =>
  `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${fields}\r\n`
/** A text message of a client, masked with zeros. */
const message = (text: string) => String.fromCharCode(0x81, 0x80 | text.length, 0, 0, 0, 0) + text

const webSockets: readonly Planted[] = [
  {
    name: 'a subprotocol',
    bytes: (secret) => upgrade('/v1/realtime?model=gpt-4o', `Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.${secret}\r\n`),
  },
  { name: "a WebSocket's query", bytes: (secret) => upgrade(`/v1/realtime?model=gpt-4o&api-key=${secret}`, '') },
  { name: "a WebSocket's Authorization", bytes: (secret) => upgrade('/v1/realtime?model=gpt-4o', `Authorization: Bearer ${secret}\r\n`) },
  {
    name: "a WebSocket's message",
    bytes: (secret) => upgrade('/v1/realtime?model=gpt-4o', '') + message(`{"type":"session.update","token":"${secret}"}`),
  },
  { name: 'a WebSocket that is refused', bytes: (secret) => upgrade(`/refused?token=${secret}`, '') },
]

const refusals: readonly Omit<Planted, 'reaches'>[] = [
  {
    name: 'a request with a bad length',
    bytes: (secret) => `POST ${chat} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${secret}\r\nContent-Length: x\r\n\r\n`,
  },
  { name: 'a field without colon', bytes: (secret) => `GET ${chat} HTTP/1.1\r\nHost: a\r\nAuthorization Bearer ${secret}\r\n\r\n` },
  { name: 'a request line that is a key', bytes: (secret) => `${secret}\r\n\r\n` },
  {
    name: 'a request that is too large',
    bytes: (secret) => `GET ${chat} HTTP/1.1\r\nHost: a\r\nX-Api-Key: ${secret}\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`,
  },
  { name: 'a method that is a key', bytes: (secret) => `${secret} ${chat} HTTP/1.1\r\nHost: a\r\n\r\n` },
  { name: 'CONNECT', bytes: (secret) => `CONNECT user:${secret}@host:443 HTTP/1.1\r\nHost: a\r\n\r\n` },
  {
    name: 'two lengths',
    bytes: (secret) => `POST ${chat} HTTP/1.1\r\nHost: a\r\nX-Api-Key: ${secret}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}`,
  },
  { name: 'an upstream that is away', bytes: (secret) => post(`/away${chat}?key=${secret}`, `Authorization: Bearer ${secret}\r\n`) },
  { name: 'an upstream without its TLS', bytes: (secret) => post(`/tls${chat}?key=${secret}`, `Authorization: Bearer ${secret}\r\n`) },
  { name: 'an upstream behind a proxy that refuses', bytes: (secret) => post(`/proxied${chat}?key=${secret}`, `x-api-key: ${secret}\r\n`) },
  { name: 'no route', bytes: (secret) => `GET * HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${secret}\r\nConnection: close\r\n\r\n` },
]

export const planted: readonly Planted[] = [
  ...[authorizations, keyFields, otherFields, targets, bodies, answers, webSockets].flat(),
  ...refusals.map((one): Planted => ({ ...one, reaches: 'nobody' })),
]
