/**
 * What the mock upstream answers and what the load client asks: OpenAI-shaped, pre-built, known to the byte.
 * Times are CLOCK_MONOTONIC in nanoseconds: the same clock in every process of one machine.
 */

/** Digits of a time stamp: nanoseconds of uptime fit into them for 31 years. */
export const stampDigits = 18

const head = 'data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,'
const chunkHead = `${head}"model":"gpt-4.1-2025-04-14","choices":[`
const beforeStamp = `${chunkHead}{"index":0,"delta":{"content":"`
const content = `${beforeStamp}${'0'.repeat(stampDigits)}"},"finish_reason":null}],"usage":null}\n\n`
const tail = [
  `${chunkHead}{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}\n\n`,
  `${chunkHead}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0}}}\n\n`,
  'data: [DONE]\n\n',
]

/** Where the stamp begins in a content event. */
export const stampOffset = beforeStamp.length
/** Bytes of one content event, decoded. */
export const contentBytes = content.length
/** Events that end each stream (finish reason, usage, [DONE]); they count as events. */
export const tailEvents = tail.length
/** Bytes of those, decoded. */
export const tailBytes = tail.join('').length

/** One event in one HTTP chunk, as a gateway that yields event by event sends it. */
function framed(event: string): string {
  return `${event.length.toString(16)}\r\n${event}\r\n`
}

export const contentFrame = Buffer.from(framed(content), 'latin1')
/** Where the stamp begins in `contentFrame`. */
export const frameStampOffset = contentFrame.indexOf(beforeStamp) + stampOffset
export const tailFrames = Buffer.from(`${tail.map(framed).join('')}0\r\n\r\n`, 'latin1')

export const streamHead = Buffer.from(
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n' +
    'x-request-id: req_3fb7a1c5d2e94b0f\r\nopenai-processing-ms: 87\r\nTransfer-Encoding: chunked\r\n\r\n',
  'latin1',
)

const jsonText = JSON.stringify({
  id: 'chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT',
  object: 'chat.completion',
  created: 1741569952,
  model: 'gpt-4.1-2025-04-14',
  choices: [
    {
      index: 0,
      message: {
        role: 'assistant',
        content: 'A weir measures a stream without stopping it. '.repeat(9).trim(),
        refusal: null,
        annotations: [],
      },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: {
    prompt_tokens: 19,
    completion_tokens: 10,
    total_tokens: 29,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0, accepted_prediction_tokens: 0 },
  },
  service_tier: 'default',
  system_fingerprint: 'fp_44709d6fcb',
})

/** A whole answer of about 1 KB, head and body. */
export const jsonResponse = Buffer.from(
  'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: req_3fb7a1c5d2e94b0f\r\nopenai-processing-ms: 87\r\n' +
    `Content-Length: ${jsonText.length}\r\n\r\n${jsonText}`,
  'latin1',
)

/** What the upstream is to do; it travels in the query, which every proxy leaves alone, or in a message, which every gateway does. */
export type Ask =
  | { readonly mode: 'json' }
  /** One event at once, then one every `intervalMs`, `events` in all. `stamped` false: the same bytes every time. */
  | { readonly mode: 'paced'; readonly events: number; readonly intervalMs: number; readonly stamped: boolean }
  /** `events` as fast as back-pressure allows, `perWrite` events in one write. */
  | { readonly mode: 'unpaced'; readonly events: number; readonly perWrite: number }

export function queryOf(ask: Ask): string {
  if (ask.mode === 'json') return 'mode=json'
  if (ask.mode === 'unpaced') return `mode=unpaced&events=${ask.events}&perWrite=${ask.perWrite}`
  return `mode=paced&events=${ask.events}&intervalMs=${ask.intervalMs}&stamped=${ask.stamped ? 1 : 0}`
}

/** The ask in a request target or a body; anything unknown is a JSON answer. */
export function askOf(text: string): Ask {
  if (text.includes('mode=json')) return { mode: 'json' }
  const query = new URLSearchParams(/mode=[\w=&]+/.exec(text)?.[0])
  const number = (name: string) => Number(query.get(name))
  if (query.get('mode') === 'unpaced') return { mode: 'unpaced', events: number('events'), perWrite: number('perWrite') }
  if (query.get('mode') !== 'paced') return { mode: 'json' }
  return { mode: 'paced', events: number('events'), intervalMs: number('intervalMs'), stamped: number('stamped') === 1 }
}

/** What the client asks for. */
export const model = 'gpt-4.1'

const messages = [
  { role: 'system', content: 'You are a helpful assistant that answers in one short sentence.' },
  { role: 'user', content: 'What does a weir do, and why would one want to measure a stream without stopping it? '.repeat(3) },
]

/** How a gateway is asked, which makes a request of its own of each that it gets: nothing of the query or the headers reaches the upstream. */
export interface Through {
  readonly headers: Readonly<Record<string, string>>
}

/** A whole request as a client library sends it. It asks for usage itself, so that no proxy has a reason to edit the body. */
export function requestOf(ask: Ask, through?: Through, more: readonly string[] = []): Buffer {
  const stream = ask.mode !== 'json'
  const said = through === undefined ? messages : [...messages, { role: 'user', content: queryOf(ask) }]
  const settings = { model, temperature: 0.2, max_tokens: 256, messages: said }
  const body = JSON.stringify(stream ? { ...settings, stream, stream_options: { include_usage: true } } : settings)
  const lines = [
    `POST /v1/chat/completions${through === undefined ? `?${queryOf(ask)}` : ''} HTTP/1.1`,
    'Host: 127.0.0.1',
    'User-Agent: OpenAI/JS 7.57.0',
    `Accept: ${stream ? 'text/event-stream' : 'application/json'}`,
    ...Object.entries({ Authorization: 'Bearer sk-bench', ...through?.headers }).map(([name, value]) => `${name}: ${value}`),
    ...more,
    'x-stainless-lang: js',
    'x-stainless-retry-count: 0',
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`, 'latin1')
}

/** CLOCK_MONOTONIC in nanoseconds; exact up to 104 days of uptime. */
export function monotonicNs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e9 + nanoseconds
}
