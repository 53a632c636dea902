/** Jobs of event streams: paced, unpaced, first bytes, and many held open. */
import { setTimeout as sleep } from 'node:timers/promises'
import { contentBytes, monotonicNs, requestOf, stampDigits, stampOffset, tailBytes, tailEvents } from '../fixture.ts'
import type { Result } from '../jobs.ts'
import { bounded, type Connection, createTally, type Exchange, type JobOf, open, resultOf, spreadOf, type Tally } from './connection.ts'

const graceSeconds = 15

/**
 * Reads the stamps of a paced stream. Every content event has the same length, so an event's place follows from the bytes before it;
 * `onEvent` gets the delay of each content event when its last byte is there.
 */
function createStampReader(onEvent: (delayNs: number) => void): (slice: Buffer, nowNs: number, contentLeft: number) => number {
  let held: Buffer | undefined
  return (slice, nowNs, contentLeft) => {
    const bytes = held === undefined ? slice : Buffer.concat([held, slice])
    let at = 0
    let left = contentLeft
    for (; left > 0 && at + contentBytes <= bytes.length; at += contentBytes, left -= 1) {
      onEvent(nowNs - Number(bytes.toString('latin1', at + stampOffset, at + stampOffset + stampDigits)))
    }
    held = left > 0 && at < bytes.length ? Buffer.from(bytes.subarray(at)) : undefined
    return left
  }
}

/** One paced stream, read to its end. `events` counts its tail too. */
function pacedExchange(events: number, tally: Tally, delaysNs: number[], done: () => void): Exchange {
  let contentLeft = events - tailEvents
  let bytes = 0
  const read = createStampReader((delayNs) => {
    tally.events += 1
    delaysNs.push(delayNs)
  })
  return {
    body(slice, nowNs) {
      bytes += slice.length
      contentLeft = read(slice, nowNs, contentLeft)
    },
    end() {
      if (bytes !== (events - tailEvents) * contentBytes + tailBytes) tally.fail(`a stream of ${bytes} bytes`)
      tally.events += tailEvents
      done()
    },
  }
}

const stampPattern = new RegExp(`"content": ?"(\\d{${stampDigits}})"`)

/**
 * The same through a gateway, which writes each event anew: every content event must be there with its stamp, and `[DONE]` at the end. The
 * events that end the stream are counted as the upstream sent them: some gateways join them.
 */
function rewrittenExchange(events: number, tally: Tally, delaysNs: number[], done: () => void): Exchange {
  let text = ''
  let content = 0
  let last = ''
  return {
    body(slice, nowNs) {
      const parts = (text + slice.toString('latin1')).split(/\r?\n\r?\n/)
      text = parts.pop() ?? ''
      for (const part of parts) {
        last = part
        const stamp = stampPattern.exec(part)?.[1]
        if (stamp === undefined) continue
        content += 1
        tally.events += 1
        delaysNs.push(nowNs - Number(stamp))
      }
    },
    end() {
      if (content !== events - tailEvents || last !== 'data: [DONE]') tally.fail(`a stream of ${content} events that ends in ${last}`)
      tally.events += tailEvents
      done()
    },
  }
}

/** Begins `streams` streams evenly within one interval, so that their events do not come in bursts. */
async function pacedStreams(job: JobOf<'paced'> | JobOf<'latency'>, tally: Tally, delaysNs: number[]): Promise<void> {
  const events = Math.round((job.seconds * 1_000) / job.intervalMs) + tailEvents
  const through = job.kind === 'paced' ? job.through : undefined
  const request = requestOf({ mode: 'paced', events, intervalMs: job.intervalMs, stamped: true }, through)
  const exchangeOf = through === undefined ? pacedExchange : rewrittenExchange
  const ended: Promise<void>[] = []
  const startedNs = monotonicNs()
  for (let index = 0; index < job.streams; index += 1) {
    const dueMs = (index * job.intervalMs) / job.streams
    while ((monotonicNs() - startedNs) / 1e6 < dueMs) await sleep(1)
    ended.push(
      new Promise((resolve) => {
        const connection = open(job.port, tally, resolve)
        const done = () => {
          connection.close()
          resolve()
        }
        connection.send(request, exchangeOf(events, tally, delaysNs, done))
      }),
    )
  }
  await Promise.all(ended)
}

export async function paced(job: JobOf<'paced'>): Promise<Result> {
  const tally = createTally()
  const startedNs = monotonicNs()
  const delaysNs: number[] = []
  await bounded(job.seconds + graceSeconds, 'paced', pacedStreams(job, tally, delaysNs))
  return resultOf(tally, startedNs, { delay: spreadOf(delaysNs) })
}

/**
 * Events of an unpaced stream's write. One at a time and the mock upstream is the bottleneck; by the dozen and a proxy that joins chunks
 * (nginx, haproxy) hardly sees events at all.
 */
const eventsPerWrite = 4

export async function unpaced(job: JobOf<'unpaced'>): Promise<Result> {
  const tally = createTally()
  const startedNs = monotonicNs()
  const untilNs = startedNs + job.seconds * 1e9
  const request = requestOf({ mode: 'unpaced', events: job.events, perWrite: eventsPerWrite })
  const expected = (job.events - tailEvents) * contentBytes + tailBytes
  const worker = () =>
    new Promise<void>((resolve) => {
      const connection = open(job.port, tally, resolve)
      const next = () => {
        let bytes = 0
        connection.send(request, {
          body(slice) {
            bytes += slice.length
          },
          end(nowNs) {
            if (bytes === expected) tally.events += job.events
            else tally.fail(`a stream of ${bytes} bytes instead of ${expected}`)
            if (nowNs < untilNs) return next()
            connection.close()
            resolve()
          },
        })
      }
      next()
    })
  const workers = Array.from({ length: job.concurrency }, worker)
  await bounded(job.seconds + graceSeconds, 'unpaced', Promise.all(workers))
  return resultOf(tally, startedNs)
}

/** Events of one probe: a short answer, its content at once. */
const probeEvents = 4 + tailEvents
/** Opened before the first probe, so that a connect is not timed as a first byte. */
const spareConnections = 16
const connectMs = 50

/** One short stream on an idle connection; resolves when it is whole. */
function probe(connection: Connection, request: Buffer, firstBytesNs: number[]): Promise<void> {
  return new Promise((resolve) => {
    let first = true
    const sentNs = monotonicNs()
    connection.send(request, {
      body(_slice, nowNs) {
        if (first) firstBytesNs.push(nowNs - sentNs)
        first = false
      },
      end: () => resolve(),
    })
  })
}

/** Open loop: a probe that is due is sent, whether or not the one before it is back. */
async function probes(job: JobOf<'latency'>, tally: Tally, firstBytesNs: number[]): Promise<void> {
  const request = requestOf({ mode: 'unpaced', events: probeEvents, perWrite: 1 })
  const idle = Array.from({ length: spareConnections }, () => open(job.port, tally, () => {}))
  const running: Promise<void>[] = []
  await sleep(connectMs)
  const startedNs = monotonicNs()
  for (let index = 0; index < job.seconds * job.probesPerSecond; index += 1) {
    const dueMs = (index * 1_000) / job.probesPerSecond
    while ((monotonicNs() - startedNs) / 1e6 < dueMs) await sleep(1)
    const lost = Promise.withResolvers<void>()
    const connection = idle.pop() ?? open(job.port, tally, lost.resolve)
    const back = probe(connection, request, firstBytesNs).then(() => void idle.push(connection))
    running.push(Promise.race([back, lost.promise]))
  }
  await Promise.all(running)
  for (const connection of idle) connection.close()
}

export async function latency(job: JobOf<'latency'>): Promise<Result> {
  const tally = createTally()
  const startedNs = monotonicNs()
  const delaysNs: number[] = []
  const firstBytesNs: number[] = []
  const work = Promise.all([pacedStreams(job, tally, delaysNs), probes(job, tally, firstBytesNs)])
  await bounded(job.seconds + graceSeconds, 'latency', work)
  return resultOf(tally, startedNs, { delay: spreadOf(delaysNs), firstByte: spreadOf(firstBytesNs) })
}

let held: Connection[] = []
let heldDelaysNs: number[] = []

export async function hold(job: JobOf<'hold'>): Promise<Result> {
  const tally = createTally()
  const startedNs = monotonicNs()
  const events = 100_000
  const request = requestOf({ mode: 'paced', events, intervalMs: job.intervalMs, stamped: true })
  heldDelaysNs = []
  let waiting = job.streams
  const all = Promise.withResolvers<void>()
  const settle = () => {
    waiting -= 1
    if (waiting === 0) all.resolve()
  }
  for (let index = 0; index < job.streams; index += 1) {
    while ((monotonicNs() - startedNs) / 1e9 < index / job.opensPerSecond) await sleep(1)
    let seen = 0
    let contentLeft = events - tailEvents
    const read = createStampReader((delayNs) => {
      tally.events += 1
      heldDelaysNs.push(delayNs)
      seen += 1
      if (seen === 2) settle()
    })
    const connection = open(job.port, tally, settle)
    held.push(connection)
    const body = (slice: Buffer, nowNs: number) => {
      contentLeft = read(slice, nowNs, contentLeft)
    }
    connection.send(request, { body, end: () => tally.fail('a held stream ended') })
  }
  await bounded(graceSeconds + (4 * job.intervalMs) / 1_000, 'hold', all.promise)
  // Delays from here on are those of the full number of streams.
  heldDelaysNs.length = 0
  return resultOf(tally, startedNs)
}

export async function release(): Promise<Result> {
  const tally = createTally()
  const startedNs = monotonicNs()
  for (const connection of held) connection.close()
  held = []
  return resultOf(tally, startedNs, { delay: spreadOf(heldDelaysNs) })
}
