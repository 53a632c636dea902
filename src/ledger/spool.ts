/**
 * Packets that wait for the collector: in the file, and in memory until the next commit. What is acknowledged while the file cannot be
 * written leaves from memory all the same. Bounded by bytes and age; what is dropped is counted.
 */
import type { Counter, Meter } from '../telemetry/meter.ts'
import { type Fate, type Packet, type Signal, type Spool, signals, type TakeLimits, type Taken } from '../telemetry/packet.ts'
import type { Tables } from './tables.ts'

export interface SpoolLimits {
  /** Of all that waits on disk. */
  readonly bytesMax: number
  /** 0 is without limit. */
  readonly ageMsMax: number
  /** Records and bytes that wait in memory while the file cannot be written. */
  readonly memoryRecordsMax: number
  readonly memoryBytesMax: number
}

export interface SpoolOptions {
  readonly limits: SpoolLimits
  readonly meter: Meter
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** The file as it is now; none while it cannot be opened. */
  readonly tables: () => Tables | undefined
  /** The number of this recorder among all that have opened the file, in this process and before: tells what others left from its own. */
  readonly process: () => number
  /** Something is to be committed soon: packets were settled. */
  readonly onSettled: () => void
}

/** What takes back what memory already counts as done, should the transaction fail; run from the last to the first. */
export type Undo = (() => void)[]

/** The store's own side of it. */
export interface StoreSpool extends Spool {
  add(packet: Packet): void
  hasWork(): boolean
  /** Writes what waits in memory and removes what is settled: part of a transaction. `undo` gets what takes it back. */
  write(tables: Tables, undo: Undo): void
  /** That transaction is committed. */
  committed(): void
  /** A file was opened: what waits in it. */
  opened(tables: Tables): void
  /** The file is gone, and what waited in it. */
  lost(): void
}

interface Held {
  readonly packet: Packet
  readonly createdAt: number
  /** Once written. */
  id: number | undefined
}

interface Lane {
  /** Packets in the file up to this id are settled. */
  settledUpTo: number
  /** Of them, up to here they are removed. */
  removedUpTo: number
  /** What the sender has. */
  underWay: { readonly taken: Taken; readonly upTo: number; readonly held: readonly Held[]; readonly bytes: number } | undefined
  /** Of what waits in the file. */
  records: number
  bytes: number
}

/** Heads read at a time. */
const headsMax = 256
/** Packets dropped in one commit: reading more heads than that, with each commit, cost more than the rows (600 µs for 256). */
const droppedMax = 32
/** Packets are looked at for their age this often. */
const ageCheckMs = 1000

export function createSpool(options: SpoolOptions): StoreSpool {
  const { meter, limits, now } = options
  const lanes: Record<Signal, Lane> = { traces: newLane(), logs: newLane() }
  const counters = { traces: countersOf(meter, 'traces'), logs: countersOf(meter, 'logs') }
  const listeners: ((signal: Signal) => void)[] = []
  let waiting: Held[] = []
  let memoryRecords = 0
  let memoryBytes = 0
  /** SQLite would begin at 1 again when the table has been emptied, and what is settled is known by its id. */
  let nextId = 1
  let ageCheckedAt = 0
  observe()

  function observe(): void {
    for (const signal of signals) {
      const depth = meter.reading('tokenweir.spool.depth', { signal })
      const bytes = meter.reading('tokenweir.spool.bytes', { signal })
      const age = meter.reading('tokenweir.spool.oldest_age', { signal })
      meter.beforeCollect(() => {
        const held = waiting.filter(({ packet }) => packet.signal === signal)
        depth.set(depthOf(signal))
        bytes.set(lanes[signal].bytes + held.reduce((sum, { packet }) => sum + packet.body.length, 0))
        const oldest = options.tables()?.packetsAfter(signal, lanes[signal].settledUpTo, 1)[0]?.created_at ?? held[0]?.createdAt
        age.set(oldest === undefined ? 0 : Math.max(0, now() - oldest) / 1000)
      })
    }
  }

  function depthOf(signal: Signal): number {
    return waiting.reduce((sum, { packet }) => sum + (packet.signal === signal ? packet.records : 0), lanes[signal].records)
  }

  function removeHeld(held: Held): void {
    const index = waiting.indexOf(held)
    if (index < 0) return
    waiting.splice(index, 1)
    memoryRecords -= held.packet.records
    memoryBytes -= held.packet.body.length
  }

  function takeFromFile(tables: Tables, signal: Signal, limit: TakeLimits) {
    const heads = tables.packetsAfter(signal, lanes[signal].settledUpTo, Math.min(headsMax, limit.packetsMax))
    const chosen = oldest(heads, limit)
    const [first] = chosen
    if (first === undefined) return undefined
    const bodies = chosen.map(({ id }) => tables.packetBody(id)).filter((body) => body !== undefined)
    const replayed = chosen.reduce((sum, head) => sum + (head.process === options.process() ? 0 : head.records), 0)
    const taken: Taken = { signal, encoding: first.encoding, bodies, records: sumOf(chosen, 'records'), replayed }
    return { taken, upTo: chosen.at(-1)?.id ?? 0, held: [], bytes: sumOf(chosen, 'bytes') }
  }

  function attemptFile(signal: Signal, limit: TakeLimits) {
    const tables = options.tables()
    try {
      return tables === undefined ? undefined : takeFromFile(tables, signal, limit)
    } catch {
      return undefined // a file that cannot be read shows at the next commit
    }
  }

  function takeFromMemory(signal: Signal, limit: TakeLimits) {
    const mine = waiting.filter(({ packet }) => packet.signal === signal)
    const heads = mine.map((held) => ({
      held,
      encoding: held.packet.encoding,
      records: held.packet.records,
      bytes: held.packet.body.length,
    }))
    const chosen = oldest(heads, limit)
    const [first] = chosen
    if (first === undefined) return undefined
    const bodies = chosen.map(({ held }) => held.packet.body)
    const taken: Taken = { signal, encoding: first.encoding, bodies, records: sumOf(chosen, 'records'), replayed: 0 }
    return { taken, upTo: 0, held: chosen.map(({ held }) => held), bytes: sumOf(chosen, 'bytes') }
  }

  function forget(lane: Lane): void {
    const { underWay } = lane
    if (underWay === undefined) return
    lane.underWay = undefined
    let { upTo } = underWay
    for (const held of underWay.held) {
      if (held.id === undefined) removeHeld(held)
      else {
        upTo = held.id
        lane.records -= held.packet.records
        lane.bytes -= held.packet.body.length
      }
    }
    if (underWay.held.length === 0) {
      lane.records -= underWay.taken.records
      lane.bytes -= underWay.bytes
    }
    lane.settledUpTo = Math.max(lane.settledUpTo, upTo)
  }

  /** Drops the oldest of what is on disk while `isTooMuch`, but nothing that the sender has. Part of a transaction. */
  function drop(tables: Tables, reason: 'size' | 'age', isTooMuch: (head: { created_at: number }) => boolean, undo: Undo): void {
    for (const head of tables.oldestPackets(droppedMax)) {
      const lane = lanes[head.signal]
      if (head.id <= lane.settledUpTo || head.id <= (lane.underWay?.upTo ?? 0)) continue
      if (lane.underWay?.held.some(({ id }) => id === head.id)) continue
      if (!isTooMuch(head)) return
      tables.removePacket(head.id)
      counters[head.signal].dropped(reason, head.records)
      lane.records -= head.records
      lane.bytes -= head.bytes
      undo.push(() => {
        counters[head.signal].dropped(reason, -head.records)
        lane.records += head.records
        lane.bytes += head.bytes
      })
    }
  }

  function trim(tables: Tables, undo: Undo): void {
    const total = () => lanes.traces.bytes + lanes.logs.bytes
    if (total() > limits.bytesMax) drop(tables, 'size', () => total() > limits.bytesMax, undo)
    const moment = now()
    if (limits.ageMsMax === 0 || total() === 0 || Math.abs(moment - ageCheckedAt) < Math.min(ageCheckMs, limits.ageMsMax / 10)) return
    ageCheckedAt = moment
    const oldestAllowed = moment - limits.ageMsMax
    drop(tables, 'age', ({ created_at }) => created_at < oldestAllowed, undo)
  }

  function writeAll(tables: Tables, undo: Undo): void {
    for (const one of waiting) {
      const { signal, records, body } = one.packet
      const lane = lanes[signal]
      one.id = nextId++
      tables.putPacket(one.id, one.packet, one.createdAt, options.process())
      lane.records += records
      lane.bytes += body.length
      undo.push(() => {
        one.id = undefined
        lane.records -= records
        lane.bytes -= body.length
      })
    }
    for (const signal of signals) {
      const { settledUpTo, removedUpTo } = lanes[signal]
      if (settledUpTo > removedUpTo) tables.removePacketsUpTo(signal, settledUpTo)
    }
  }

  return {
    add(packet) {
      counters[packet.signal].written.add(packet.records)
      if (memoryRecords + packet.records > limits.memoryRecordsMax || memoryBytes + packet.body.length > limits.memoryBytesMax) {
        counters[packet.signal].dropped('unwritable', packet.records)
        return
      }
      waiting.push({ packet, createdAt: now(), id: undefined })
      memoryRecords += packet.records
      memoryBytes += packet.body.length
      for (const listener of listeners) listener(packet.signal)
    },
    take(signal, limit) {
      const lane = lanes[signal]
      lane.underWay = attemptFile(signal, limit) ?? takeFromMemory(signal, limit)
      return lane.underWay?.taken
    },
    settle(taken, fate) {
      const lane = lanes[taken.signal]
      if (lane.underWay?.taken !== taken) return
      forget(lane)
      count(counters[taken.signal], taken, fate)
      options.onSettled()
    },
    putBack(taken) {
      const lane = lanes[taken.signal]
      if (lane.underWay?.taken === taken) lane.underWay = undefined
    },
    depth: depthOf,
    onArrival: (listener) => void listeners.push(listener),
    hasWork: () => waiting.length > 0 || signals.some((signal) => lanes[signal].settledUpTo > lanes[signal].removedUpTo),
    write(tables, undo) {
      writeAll(tables, undo)
      trim(tables, undo)
    },
    committed() {
      waiting = []
      memoryRecords = 0
      memoryBytes = 0
      for (const signal of signals) lanes[signal].removedUpTo = lanes[signal].settledUpTo
    },
    opened(tables) {
      nextId = Math.max(nextId, tables.lastPacketId() + 1)
      for (const signal of signals) Object.assign(lanes[signal], tables.packetTotals(signal))
      for (const signal of signals) if (lanes[signal].records > 0) for (const listener of listeners) listener(signal)
    },
    lost() {
      for (const signal of signals) {
        counters[signal].dropped('unwritable', lanes[signal].records)
        lanes[signal] = newLane()
      }
      for (const held of waiting) held.id = undefined
    },
  }
}

function newLane(): Lane {
  return { settledUpTo: 0, removedUpTo: 0, underWay: undefined, records: 0, bytes: 0 }
}

interface Counters {
  readonly written: Counter
  readonly delivered: Counter
  readonly replayed: Counter
  dropped(reason: 'age' | 'size' | 'refused' | 'rejected' | 'unwritable', records: number): void
}

function countersOf(meter: Meter, signal: Signal): Counters {
  const dropped = (reason: string) => meter.counter('tokenweir.spool.dropped', { signal, reason })
  const reasons = {
    age: dropped('age'),
    size: dropped('size'),
    refused: dropped('refused'),
    rejected: dropped('rejected'),
    unwritable: dropped('unwritable'),
  }
  return {
    written: meter.counter('tokenweir.spool.written', { signal }),
    delivered: meter.counter('tokenweir.spool.delivered', { signal }),
    replayed: meter.counter('tokenweir.spool.replayed', { signal }),
    dropped: (reason, records) => reasons[reason].add(records),
  }
}

function count(counters: Counters, { records, replayed }: Taken, fate: Fate): void {
  if (fate.kind === 'refused') {
    counters.dropped('refused', records)
    return
  }
  const rejected = Math.min(fate.rejected, records)
  counters.dropped('rejected', rejected)
  counters.delivered.add(records - rejected)
  counters.replayed.add(Math.max(0, replayed - rejected))
}

interface Sized {
  readonly encoding: string
  readonly records: number
  readonly bytes: number
}

/** The first of them that fit, one at least, all of one encoding. */
function oldest<Head extends Sized>(heads: readonly Head[], { packetsMax, recordsMax, bytesMax }: TakeLimits): Head[] {
  const chosen: Head[] = []
  let records = 0
  let bytes = 0
  for (const head of heads) {
    records += head.records
    bytes += head.bytes
    if (chosen.length > 0 && (head.encoding !== heads[0]?.encoding || records > recordsMax || bytes > bytesMax)) break
    if (chosen.push(head) >= packetsMax) break
  }
  return chosen
}

function sumOf(heads: readonly Sized[], key: 'records' | 'bytes'): number {
  return heads.reduce((sum, head) => sum + head[key], 0)
}
