/** Telemetry encoded for the collector: what one batch made of one signal. */

export type Signal = 'traces' | 'logs'
export const signals: readonly Signal[] = ['traces', 'logs']
export type Encoding = 'protobuf' | 'json'

export interface Packet {
  readonly signal: Signal
  readonly encoding: Encoding
  /** Spans or log records in it. */
  readonly records: number
  /** A whole export request. */
  readonly body: Uint8Array
}

/** Where packets go as they are made. */
export type PacketSink = (packet: Packet) => void

/** Takes no more than this. At least one packet is taken where one waits. */
export interface TakeLimits {
  readonly packetsMax: number
  readonly recordsMax: number
  readonly bytesMax: number
}

/** Packets of one signal and encoding, the oldest that wait, in order. */
export interface Taken {
  readonly signal: Signal
  readonly encoding: Encoding
  readonly bodies: readonly Uint8Array[]
  readonly records: number
  /** Of the records, those that an earlier process or recorder left. */
  readonly replayed: number
}

/** What became of what was taken. */
export type Fate = { readonly kind: 'delivered'; readonly rejected: number } | { readonly kind: 'refused' }

/** Where packets wait until the collector has acknowledged them. One taking at a time and signal. */
export interface Spool {
  take(signal: Signal, limits: TakeLimits): Taken | undefined
  /** It waits no more. */
  settle(taken: Taken, fate: Fate): void
  /** It waits on; it may be dropped for its age again. */
  putBack(taken: Taken): void
  /** Records that wait. */
  depth(signal: Signal): number
  /** Told when packets have come. */
  onArrival(listener: (signal: Signal) => void): void
}

/** Two requests in one, without decoding: repeated fields of protobuf concatenate, and JSON's lists join. */
export function merged(encoding: Encoding, bodies: readonly Uint8Array[]): Uint8Array {
  if (bodies.length === 1) return bodies[0] as Uint8Array
  if (encoding === 'protobuf') return Buffer.concat(bodies)
  const texts = bodies.map((body) => Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString())
  const [first = ''] = texts
  const inside = texts.map((text) => text.slice(text.indexOf('[') + 1, text.lastIndexOf(']')))
  return Buffer.from(`${first.slice(0, first.indexOf('[') + 1)}${inside.join(',')}${first.slice(first.lastIndexOf(']'))}`)
}
