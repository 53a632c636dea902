/**
 * One case: a recording, damaged, through the very parts that read it in the product. Everything that is drawn by chance comes from the seed
 * and the index, so a case can be run again alone.
 */
import { conclude, readRequest } from '../../src/conclude/conclude.ts'
import type { Ending, Exchange, Framing, Opening } from '../../src/lib/exchange.ts'
import { parseJson } from '../../src/lib/json.ts'
import { createDecoder, decodeWhole } from '../../src/observe/decode/decode.ts'
import { createFold } from '../../src/observe/fold.ts'
import { formats } from '../../src/observe/formats/index.ts'
import { createFramer } from '../../src/observe/frames/choose.ts'
import { askForUsage, createAskScan } from '../../src/proxy/inject/ask.ts'
import { createStrip } from '../../src/proxy/inject/strip.ts'
import type { ObservedProxy } from '../observe/harness.ts'
import { codings } from '../recordings/encodings.ts'
import type { Recording } from '../recordings/recording.ts'
import { checkExchange, checkFacts, must } from './checks.ts'
import { below, cut, damaged, pick, type Random } from './mutate.ts'

export interface CaseTools {
  readonly pool: readonly Recording[]
  /** Real proxies, for the share of cases that crosses sockets. */
  readonly observing: ObservedProxy
  readonly injecting: ObservedProxy
}

/** How many of so many cases take the slower ways. */
const shares = { decodedWhole: 1 / 16, decodedInStream: 1 / 400, stripped: 1 / 8, request: 1 / 8, throughProxy: 1 / 1000 }

/** Larger recordings are shortened for most cases, or they would take most of the time. */
const bodyBytesUsual = 16 * 1024
const framings: readonly Framing[] = ['sse', 'ndjson', 'json-array', 'eventstream', 'whole']

/** Numbers from 0 to 1 of one case. */
export function randomOf(seed: number, index: number): Random {
  let state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35)) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Damaged {
  readonly recording: Recording
  readonly framing: Framing
  readonly bytes: Buffer
  readonly chunks: readonly Buffer[]
  readonly messageBytesMax: number
}

/** Throws when something does not hold. A promise only for the share of cases that needs one. */
export function runCase(seed: number, index: number, tools: CaseTools): Promise<void> | undefined {
  const random = randomOf(seed, index)
  const recording = pick(random, tools.pool)
  const bytes = damaged(shortened(recording.body, random), random, () => shortened(pick(random, tools.pool).body, random))
  const damage: Damaged = {
    recording: random() < 0.9 ? recording : { ...pick(random, tools.pool), body: recording.body },
    framing: random() < 0.85 ? recording.framing : pick(random, framings),
    bytes,
    chunks: cut(bytes, random),
    messageBytesMax: pick(random, [64, 1000, 4096, 4 * 1024 * 1024]),
  }
  readAnswer(damage, random)
  if (random() < shares.request) readDamagedRequest(damage, random)
  if (random() < shares.stripped) strip(damage, random)
  if (random() < shares.decodedWhole) decodeAtOnce(damage, random)
  if (random() < shares.decodedInStream) return decodeInStream(damage, random)
  if (random() < shares.throughProxy) return crossProxy(damage, random, tools)
  return undefined
}

function shortened(body: Buffer, random: Random): Buffer {
  if (body.length <= bodyBytesUsual || random() < 0.02) return body
  const at = below(random, bodyBytesUsual)
  return Buffer.concat([body.subarray(0, at), body.subarray(body.length - (bodyBytesUsual - at))])
}

const pathOf = ({ path }: Recording) => path.split('?')[0] ?? path

function openingOf(recording: Recording): Opening {
  return {
    ...{ id: 'id', traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 1, startedAt: 0, method: recording.method },
    ...{ path: pathOf(recording), route: 'default', serverAddress: 'gateway.internal', serverPort: 443 },
    requestHeaders: recording.requestHeaders,
  }
}

function endingOf({ recording, bytes, chunks, framing }: Damaged, more: Partial<Ending>): Ending {
  return {
    ...{ id: 'id', outcome: { kind: 'answered' }, status: recording.status, responseHeaders: recording.responseHeaders, framing },
    ...{ streamed: framing !== 'whole', requestBytes: 1, responseBytes: bytes.length, endMs: 1, chunkCount: chunks.length, notes: [] },
    ...more,
  }
}

function readAnswer(damage: Damaged, random: Random): void {
  const { recording, framing, bytes } = damage
  const opening = openingOf(recording)
  const reading = { outline: parseJson(recording.requestBody.toString('utf8')) }
  const answered =
    framing === 'whole' ? { ending: endingOf(damage, {}), body: bytes } : { ending: foldStream(damage, random), body: undefined }
  checkExchange(conclude(opening, answered.ending, reading, answered.body, { bodyBytes: 64 * 1024 * 1024 }))
}

function foldStream(damage: Damaged, random: Random): Ending {
  const { recording, framing, chunks, messageBytesMax } = damage
  const fold = createFold(recording.method, pathOf(recording), recording.responseHeaders)
  const notes = new Set<string>()
  const framer = createFramer(framing, {
    onMessage({ event, data }) {
      must(data.length <= messageBytesMax, () => `a message of ${data.length} bytes, where ${messageBytesMax} are the most`)
      fold.message(event, data)
    },
    onNote: (note) => void notes.add(note),
    messageBytesMax,
    wantedKeys: fold.wantedKeys,
  })
  // Also in the middle of it, for that is when clients leave.
  const look = below(random, chunks.length + 1)
  chunks.forEach((chunk, index) => {
    if (index === look) checkFacts(fold.facts())
    framer.push(chunk)
  })
  framer.end()
  const outcome = pick(random, ['answered', 'answered', 'client-aborted', 'upstream-aborted', 'sidecar-stopped'] as const)
  return endingOf(damage, { outcome: { kind: outcome }, format: fold.format, response: fold.facts(), notes: [...notes, ...fold.notes] })
}

function readDamagedRequest({ recording }: Damaged, random: Random): void {
  const body = damaged(recording.requestBody, random, () => recording.body)
  const type = pick(random, ['application/json', 'multipart/form-data; boundary=data', 'text/plain'])
  const opening = { ...openingOf(recording), requestHeaders: { 'content-type': type } }
  const { outline } = readRequest(opening, body)
  const facts = pick(random, formats).readRequest(outline, pathOf(recording))
  must(typeof facts.operation === 'string', 'a request without an operation')
  const scan = createAskScan()
  const pieces = [body.subarray(0, 100), body.subarray(100)]
  for (const piece of pieces) scan.push(piece)
  const asked = askForUsage(pieces, scan)
  must(asked === undefined || Buffer.concat(asked.body).length > body.length - 8, 'asking for usage has shortened a request')
}

const usageKey = Buffer.from('"usage"')

function strip({ bytes, chunks }: Damaged, random: Random): void {
  const through = (pieces: readonly Buffer[]) => {
    const filter = createStrip()
    return Buffer.concat([...pieces.flatMap((piece) => filter.push(piece)), ...filter.end()])
  }
  const whole = through([bytes])
  must(through(chunks).equals(whole), 'stripping depends on where the body is cut')
  must(through(cut(bytes, random)).equals(whole), 'stripping depends on where the body is cut')
  must(bytes.includes(usageKey) || whole.equals(bytes), 'stripping has changed a body without usage')
  must(whole.length <= bytes.length, 'stripping has added something')
}

const compressed = Object.values(codings).filter(({ header }) => header !== undefined)

function decodeAtOnce({ bytes }: Damaged, random: Random): void {
  const { header, encode } = pick(random, compressed)
  const encoded = encode(bytes)
  const whole = decodeWhole(header, encoded, bytes.length)
  must(
    typeof whole !== 'string' && bytes.equals(whole),
    () => `${header}, decoded at once: ${typeof whole === 'string' ? whole : 'not the same'}`,
  )
  const bytesMax = 1 + below(random, 100_000)
  const broken = decodeWhole(
    header,
    damaged(encoded, random, () => bytes),
    bytesMax,
  )
  must(typeof broken === 'string' || broken.length <= bytesMax, 'a decoded body is longer than its limit')
}

async function decodeInStream({ bytes }: Damaged, random: Random): Promise<void> {
  const { header, encode } = pick(random, compressed)
  const isSound = random() < 0.5
  const encoded = isSound ? encode(bytes) : damaged(encode(bytes), random, () => bytes)
  const decoded: Buffer[] = []
  const notes: string[] = []
  let ends = 0
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the decoder of ${header} does not end`)), 20_000)
    const decoder = createDecoder(header, {
      onData: (chunk) => void decoded.push(Buffer.from(chunk)),
      onNote: (note) => void notes.push(note),
      onEnd() {
        ends++
        clearTimeout(timer)
        setImmediate(resolve)
      },
    })
    for (const chunk of cut(encoded, random)) decoder.push(chunk)
    decoder.end()
  })
  must(ends === 1, () => `the decoder of ${header} ended ${ends} times`)
  if (isSound) must(notes.length === 0 && bytes.equals(Buffer.concat(decoded)), () => `${header}, decoded in a stream: ${notes}`)
}

/** Through sockets, forwarder and observer; one time in three with a Content-Encoding that may be a lie. */
async function crossProxy({ recording, bytes, chunks }: Damaged, random: Random, tools: CaseTools): Promise<void> {
  const lie = random() < 0.3 ? { 'content-encoding': pick(random, ['gzip', 'br', 'zstd', 'deflate', 'gzip, br', 'compress']) } : {}
  const isInjecting = random() < 0.3
  const proxy = isInjecting ? tools.injecting : tools.observing
  const before = proxy.count()
  const hasBody = recording.method !== 'HEAD' && recording.status !== 204 && recording.status !== 304
  const responseHeaders = { ...recording.responseHeaders, ...lie }
  const played = await proxy.play({ ...recording, responseHeaders, pieces: hasBody ? chunks : [] })
  const same = played.received.equals(hasBody ? bytes : Buffer.alloc(0))
  must(proxy.count() === before + 1, () => `${proxy.count() - before} records of one exchange`)
  must(played.status === recording.status, () => `the client got ${played.status}, not ${recording.status}`)
  checkExchange(played.exchange)
  if (isInjecting) must(same || isStripped(played.exchange, played.received, bytes), 'the client got other bytes than a stripped answer')
  else must(same && played.arrived.equals(recording.requestBody), 'the client or the upstream got other bytes')
}

function isStripped({ ending }: Exchange, received: Buffer, bytes: Buffer): boolean {
  const filter = createStrip()
  return ending.notes.includes('usage_injected') && received.equals(Buffer.concat([...filter.push(bytes), ...filter.end()]))
}
