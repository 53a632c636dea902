/** Readings that live elsewhere (the proxying thread's shared array, the process, the event loop) → metrics, before every collection. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Cell } from '../lib/shared-counters.ts'
import { type CounterName, overheadBucketsMicros } from '../telemetry/catalog.ts'
import type { Meter } from '../telemetry/meter.ts'

/** The array's cells are 32 bits wide and wrap around: they are read at least this often, at 5,000 chunks a second far before the wrap. */
const pollMs = 60_000
const resolutionMs = 20

export interface SharedCounts {
  /** What `keep` was last given in this process, by a recorder that died: up to there the cells are counted. */
  readonly before?: string | undefined
  /** Given the cells as they were counted, with every reading. */
  readonly keep?: (cells: string) => void
}

export interface Recording {
  /** Counts what the shared cells grew by. */
  count(): void
  stop(): void
}

export function recordReadings(meter: Meter, cells: Int32Array, shared: SharedCounts = {}): Recording {
  const count = recordShared(meter, cells, shared)
  recordStart(meter)
  recordProcess(meter)
  const stopDelay = recordLoopDelay(meter)
  const timer = setInterval(meter.collect, pollMs).unref()
  return {
    count,
    stop() {
      clearInterval(timer)
      stopDelay()
    },
  }
}

function recordShared(meter: Meter, cells: Int32Array, { before, keep }: SharedCounts): () => void {
  const counted = before?.split(' ').map(Number) ?? []
  const reads: (() => void)[] = []
  const open = meter.reading('tokenweir.exchanges.open', {})
  const readAt = meter.reading('tokenweir.config.last_reload', {})
  const successful = meter.reading('tokenweir.config.last_reload.successful', {})
  meter.beforeCollect(() => {
    open.set(Atomics.load(cells, Cell.open))
    readAt.set(Atomics.load(cells, Cell.configReadAt) >>> 0)
    successful.set(1 - Atomics.load(cells, Cell.configRefused))
  })
  const counters: readonly (readonly [CounterName, Record<string, string>, number])[] = [
    ['tokenweir.requests.malformed', {}, Cell.malformed],
    ['tokenweir.injection.skipped', { reason: 'size' }, Cell.injectionSkippedSize],
    ['tokenweir.injection.skipped', { reason: 'budget' }, Cell.injectionSkippedBudget],
    ['tokenweir.clients.silent', { reason: 'body' }, Cell.silentBodies],
    ['tokenweir.clients.silent', { reason: 'read' }, Cell.silentReaders],
    ['tokenweir.connections.dropped', { reason: 'descriptors' }, Cell.withoutDescriptor],
    ['tokenweir.connections.dropped', { reason: 'pipelining' }, Cell.pipelineOverflow],
    ['tokenweir.connections.dropped', { reason: 'http2' }, Cell.http2Broken],
    ['tokenweir.tls.handshakes.failed', { reason: 'handshake' }, Cell.handshakesFailed],
    ['tokenweir.tls.handshakes.failed', { reason: 'client_certificate' }, Cell.clientsWithoutCertificate],
    ['tokenweir.tls.certificates.changed', { state: 'in_use' }, Cell.certificatesRead],
    ['tokenweir.tls.certificates.changed', { state: 'refused' }, Cell.certificatesRefused],
    ['tokenweir.observer.failures', {}, Cell.observerFailed],
    ['tokenweir.exchanges.dropped', { reason: 'recorder_behind' }, Cell.dropped],
    ['tokenweir.exchanges.dropped', { reason: 'recorder_failed' }, Cell.lostWithRecorder],
    ['tokenweir.recorder.restarts', {}, Cell.recorderRestarts],
    ['tokenweir.caller.unknown', { reason: 'not_verified' }, Cell.callersUnverified],
    ['tokenweir.caller.unknown', { reason: 'too_many' }, Cell.callersUnread],
    ['tokenweir.config.reloads', { result: 'applied' }, Cell.reloadsApplied],
    ['tokenweir.config.reloads', { result: 'unchanged' }, Cell.reloadsUnchanged],
    ['tokenweir.config.reloads', { result: 'refused' }, Cell.reloadsRefused],
  ]
  for (const [name, labels, cell] of counters) {
    const counter = meter.counter(name, labels)
    const added = createIncrease(cells, cell, counted[cell])
    reads.push(() => counter.add(added()))
  }
  const overhead = meter.histogram('tokenweir.overhead.chunk', {})
  for (let bucket = 0; bucket <= overheadBucketsMicros.length; bucket++) {
    const added = createIncrease(cells, Cell.chunkOverhead + bucket, counted[Cell.chunkOverhead + bucket])
    reads.push(() => overhead.addToBucket(bucket, added()))
  }
  const count = () => {
    for (const read of reads) read()
    // In one commit with the counts: what is counted is not counted again by a recorder that takes this one's place.
    keep?.(cells.join(' '))
  }
  meter.beforeCollect(count)
  return count
}

/** What a wrapping 32-bit counter grew by since the last call. The first call gives all that was not counted before. */
function createIncrease(cells: Int32Array, cell: number, before = 0): () => number {
  let last = before
  return () => {
    const value = Atomics.load(cells, cell)
    const increase = (value - last) >>> 0
    last = value
    return increase
  }
}

function recordStart(meter: Meter): void {
  const start = meter.reading('tokenweir.counters.start_time', {})
  meter.beforeCollect(() => {
    const startedAt = meter.startedAt()
    if (startedAt !== undefined) start.set(startedAt / 1000)
  })
}

function recordProcess(meter: Meter): void {
  const memory = meter.reading('process.memory.usage', {})
  const uptime = meter.reading('process.uptime', {})
  const modes = (['user', 'system'] as const).map((mode) => ({
    mode,
    counter: meter.counter('process.cpu.time', { 'cpu.mode': mode }),
    last: 0,
  }))
  meter.beforeCollect(() => {
    memory.set(process.memoryUsage.rss())
    uptime.set(process.uptime())
    const usage = process.cpuUsage()
    for (const entry of modes) {
      const total = usage[entry.mode] / 1e6
      entry.counter.add(total - entry.last)
      entry.last = total
    }
  })
}

/** Of the recorder's own loop: how far behind records can be. A delay of the proxying thread shows in `tokenweir.overhead.*`. */
function recordLoopDelay(meter: Meter): () => void {
  const labels = { 'thread.name': 'recorder' }
  const p50 = meter.reading('nodejs.eventloop.delay.p50', labels)
  const p99 = meter.reading('nodejs.eventloop.delay.p99', labels)
  const max = meter.reading('nodejs.eventloop.delay.max', labels)
  const delay = monitorEventLoopDelay({ resolution: resolutionMs })
  delay.enable()
  // The histogram holds the time between two firings of its own timer, so its interval is taken off again.
  const seconds = (nanoseconds: number) => Math.max(0, nanoseconds / 1e9 - resolutionMs / 1e3)
  meter.beforeCollect(() => {
    p50.set(seconds(delay.percentile(50)))
    p99.set(seconds(delay.percentile(99)))
    max.set(seconds(delay.max))
    delay.reset()
  })
  return () => delay.disable()
}
