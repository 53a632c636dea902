/** HTTP/1.1 messages in bytes (latin1 text), read strictly: whatever two readers could read in two ways is a fault. */

export interface Message {
  /** Request line or status line. */
  readonly start: string
  /** Names in lower case. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly body: string
  readonly trailers: readonly (readonly [name: string, value: string])[]
  /** Where the next message begins. */
  readonly end: number
}

/** `head` is there when the head is whole and the body is not. */
export type Read =
  | { readonly is: 'message'; readonly message: Message }
  | { readonly is: 'incomplete'; readonly head?: Message }
  | { readonly is: 'fault'; readonly fault: string; readonly head?: Message }

const requestLine = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e\x80-\xff]+ HTTP\/1\.[01]$/
const statusLine = /^HTTP\/1\.[01] [1-9]\d\d( [\t\x20-\x7e\x80-\xff]*)?$/
const fieldLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/

export const fieldsNamed = ({ fields }: Message, name: string) => fields.filter(([one]) => one === name).map(([, value]) => value)
export const statusOf = ({ start }: Message) => Number(start.split(' ')[1])

class Fault extends Error {}

function fieldsOf(lines: readonly string[]): [string, string][] {
  return lines.map((line) => {
    const found = fieldLine.exec(line)
    if (found === null) throw new Fault(`field ${JSON.stringify(line.slice(0, 60))}`)
    return [(found[1] as string).toLowerCase(), found[2] as string]
  })
}

function headOf(text: string, from: number, isRequest: boolean): Message | undefined {
  const end = text.indexOf('\r\n\r\n', from)
  if (end < 0) return undefined
  const [start = '', ...lines] = text.slice(from, end).split('\r\n')
  if (!(isRequest ? requestLine : statusLine).test(start)) throw new Fault(`first line ${JSON.stringify(start.slice(0, 60))}`)
  return { start, fields: fieldsOf(lines), body: '', trailers: [], end: end + 4 }
}

/** A chunked body from `at` on; `undefined` while it is not whole. */
function readChunks(text: string, from: number): Pick<Message, 'body' | 'trailers' | 'end'> | undefined {
  let body = ''
  for (let at = from; ; ) {
    const lineEnd = text.indexOf('\n', at)
    if (lineEnd < 0) return undefined
    const line = text.slice(at, lineEnd + 1)
    const size = /^([0-9a-f]{1,13})(;[\t\x20-\x7e\x80-\xff]*)?\r\n$/i.exec(line)?.[1]
    if (size === undefined) throw new Fault(`chunk size ${JSON.stringify(line.slice(0, 40))}`)
    const length = Number.parseInt(size, 16)
    at = lineEnd + 1
    if (length === 0) {
      if (text.startsWith('\r\n', at)) return { body, trailers: [], end: at + 2 }
      const end = text.indexOf('\r\n\r\n', at)
      if (end < 0) return undefined
      return { body, trailers: fieldsOf(text.slice(at, end).split('\r\n')), end: end + 4 }
    }
    if (text.length < at + length + 2) return undefined
    body += text.slice(at, at + length)
    at += length + 2
    if (text.slice(at - 2, at) !== '\r\n') throw new Fault('chunk data without its end')
  }
}

/** How long the body is by the head's own word. */
function framingOf(head: Message): 'chunked' | number | undefined {
  const encodings = fieldsNamed(head, 'transfer-encoding')
  const lengths = fieldsNamed(head, 'content-length')
  if (encodings.length > 0 && lengths.length > 0) throw new Fault('both a length and an encoding')
  if (encodings.length > 1 || lengths.length > 1) throw new Fault('two lengths or encodings')
  if (encodings.length > 0) {
    if (encodings[0]?.toLowerCase() !== 'chunked') throw new Fault(`transfer encoding ${encodings[0]}`)
    if (head.start.includes('HTTP/1.0')) throw new Fault('a transfer encoding in HTTP/1.0')
    return 'chunked'
  }
  if (lengths.length === 0) return undefined
  if (!/^\d{1,16}$/.test(lengths[0] as string)) throw new Fault(`length ${lengths[0]}`)
  return Number(lengths[0])
}

function withBody(text: string, head: Message, framing: 'chunked' | number): Read {
  if (framing === 'chunked') {
    const chunks = readChunks(text, head.end)
    return chunks === undefined ? { is: 'incomplete', head } : { is: 'message', message: { ...head, ...chunks } }
  }
  const end = head.end + framing
  if (text.length < end) return { is: 'incomplete', head: { ...head, body: text.slice(head.end) } }
  return { is: 'message', message: { ...head, body: text.slice(head.end, end), end } }
}

function read(text: string, from: number, isRequest: boolean, framingFor: (head: Message) => ReturnType<typeof framingOf>): Read {
  let head: Message | undefined
  try {
    head = headOf(text, from, isRequest)
    if (head === undefined) return { is: 'incomplete' }
    const framing = framingFor(head)
    // Only a response without framing goes on to the end of its connection.
    if (framing === undefined) return { is: 'incomplete', head: { ...head, body: text.slice(head.end), end: text.length } }
    return withBody(text, head, framing)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return { is: 'fault', fault: error.message, ...(head === undefined ? {} : { head }) }
  }
}

export function readRequest(text: string, from: number): Read {
  return read(text, from, true, (head) => {
    if (fieldsNamed(head, 'host').length > 1) throw new Fault('two Host fields')
    return framingOf(head) ?? 0
  })
}

export function readResponse(text: string, from: number, method: string, closed: boolean): Read {
  const found = read(text, from, false, (head) => {
    const status = statusOf(head)
    const framing = framingOf(head)
    if ((status < 200 || status === 204) && framing !== undefined) throw new Fault(`a body announced by ${status}`)
    return status < 200 || status === 204 || status === 304 || method === 'HEAD' ? 0 : framing
  })
  const isWhole = found.is === 'incomplete' && closed && found.head !== undefined && framingOf(found.head) === undefined
  return isWhole ? { is: 'message', message: found.head as Message } : found
}
