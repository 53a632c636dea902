/** Records of one signal → packets. They are gathered while a batch is recorded, and encoded once, when it is about to be committed. */
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace'
import type { Encoding, PacketSink, Signal } from './packet.ts'

export interface GatherOptions<Entry> {
  readonly signal: Signal
  readonly encoding: Encoding
  /** Makes a whole export request. */
  readonly serialize: (entries: Entry[]) => Uint8Array | undefined
  readonly addPacket: PacketSink
  /** Records in one packet. */
  readonly recordsMax: number
}

export interface Gathering<Entry> {
  add(entry: Entry): void
  /** Makes packets of all that was added. Throws what the serializer throws; what it was given is gone then. */
  flush(): void
}

export function createGathering<Entry>({ signal, encoding, serialize, addPacket, recordsMax }: GatherOptions<Entry>): Gathering<Entry> {
  let gathered: Entry[] = []
  return {
    add: (entry) => void gathered.push(entry),
    flush() {
      const all = gathered
      gathered = []
      for (let at = 0; at < all.length; at += recordsMax) {
        const entries = all.length <= recordsMax ? all : all.slice(at, at + recordsMax)
        const body = serialize(entries)
        if (body !== undefined) addPacket({ signal, encoding, records: entries.length, body })
      }
    },
  }
}

/** Where the SDK's ended spans go. */
export function spanProcessorOf(gathering: Gathering<ReadableSpan>): SpanProcessor {
  return {
    onStart() {},
    onEnd(span) {
      if ((span.spanContext().traceFlags & 1) !== 0) gathering.add(span)
    },
    async forceFlush() {},
    async shutdown() {},
  }
}
