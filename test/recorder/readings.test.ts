import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Cell, cellCount } from '../../src/lib/shared-counters.ts'
import { recordReadings } from '../../src/recorder/readings.ts'
import { overheadBucketsMicros } from '../../src/telemetry/catalog.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { samples } from '../sinks/scrape.ts'

function start(cells = new Int32Array(cellCount)) {
  const meter = createMeter(Date.now)
  const { stop } = recordReadings(meter, cells)
  onTestFinished(stop)
  return { meter, cells }
}

describe('the shared cells', () => {
  it('become metrics', async () => {
    const { meter, cells } = start()
    cells[Cell.open] = 4
    cells[Cell.malformed] = 3
    cells[Cell.observerFailed] = 2
    cells[Cell.dropped] = 1
    expect(samples(meter, 'tokenweir_')).toMatchObject({
      tokenweir_exchanges_open: 4,
      tokenweir_requests_malformed_total: 3,
      tokenweir_observer_failures_total: 2,
      'tokenweir_exchanges_dropped_total{reason="recorder_behind"}': 1,
      'tokenweir_exchanges_dropped_total{reason="recorder_failed"}': 0,
    })
    cells[Cell.open] = 0
    expect(samples(meter, 'tokenweir_exchanges')).toEqual({
      tokenweir_exchanges_open: 0,
      'tokenweir_exchanges_dropped_total{reason="recorder_behind"}': 1,
      'tokenweir_exchanges_dropped_total{reason="recorder_failed"}': 0,
    })
  })

  it('come with the time at which counting began', () => {
    const before = Date.now() / 1000
    const { meter } = start()
    const { tokenweir_counters_start_time_seconds: since = 0 } = samples(meter, 'tokenweir_counters')
    expect(since).toBeGreaterThanOrEqual(before)
    expect(since).toBeLessThanOrEqual(Date.now() / 1000)
  })

  it('become the histogram of the chunk overhead', async () => {
    const { meter, cells } = start()
    cells[Cell.chunkOverhead] = 5
    cells[Cell.chunkOverhead + overheadBucketsMicros.length - 1] = 2
    cells[Cell.chunkOverhead + overheadBucketsMicros.length] = 1
    const all = samples(meter, 'tokenweir_overhead_chunk')
    expect(all).toMatchObject({
      tokenweir_overhead_chunk_seconds_count: 8,
      'tokenweir_overhead_chunk_seconds_bucket{le="0.00001"}': 5,
      'tokenweir_overhead_chunk_seconds_bucket{le="0.5"}': 5,
      'tokenweir_overhead_chunk_seconds_bucket{le="1"}': 7,
      'tokenweir_overhead_chunk_seconds_bucket{le="+Inf"}': 8,
    })
    expect(Object.keys(all)).toHaveLength(overheadBucketsMicros.length + 2)
  })

  it('go on counting when they wrap around', async () => {
    const { meter, cells } = start()
    cells[Cell.malformed] = 2 ** 31 - 1
    meter.collect()
    cells[Cell.malformed] = -(2 ** 31)
    meter.collect()
    cells[Cell.malformed] = 5
    expect(samples(meter, 'tokenweir_requests_malformed')).toEqual({ tokenweir_requests_malformed_total: 2 ** 32 + 5 })
  })
})

describe('a recorder that takes the place of another', () => {
  it('goes on from the cells as that one counted them, in every counter and bucket', () => {
    const cells = Int32Array.from({ length: cellCount }, (_, cell) => cell * 10)
    const meter = createMeter(Date.now)
    const remembered: string[] = []
    const { count, stop } = recordReadings(meter, cells, { before: cells.join(' '), keep: (text) => remembered.push(text) })
    onTestFinished(stop)
    count()
    expect(samples(meter, 'tokenweir_overhead_chunk')).toMatchObject({ tokenweir_overhead_chunk_seconds_count: 0 })
    cells[Cell.chunkOverhead + overheadBucketsMicros.length] = (Cell.chunkOverhead + overheadBucketsMicros.length) * 10 + 2
    cells[Cell.dropped] = Cell.dropped * 10 + 3
    expect(samples(meter, 'tokenweir_overhead_chunk')).toMatchObject({ tokenweir_overhead_chunk_seconds_count: 2 })
    expect(samples(meter, 'tokenweir_exchanges_dropped')).toMatchObject({
      'tokenweir_exchanges_dropped_total{reason="recorder_behind"}': 3,
    })
    expect(remembered.at(-1)).toBe(cells.join(' '))
  })
})

it('counts the cells every minute, asked or not, until it is stopped', () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const remembered: string[] = []
  const { stop } = recordReadings(createMeter(Date.now), new Int32Array(cellCount), { keep: (cells) => remembered.push(cells) })
  vi.advanceTimersByTime(120_000)
  expect(remembered).toHaveLength(2)
  stop()
  vi.advanceTimersByTime(120_000)
  expect(remembered).toHaveLength(2)
})

it('adds up the CPU time of the process once, however often it is read', () => {
  const { meter } = start()
  const read = () => samples(meter, 'process_cpu_time')['process_cpu_time_seconds_total{cpu_mode="user"}'] ?? 0
  for (let n = 0; n < 5; n++) read()
  const before = process.cpuUsage().user / 1e6
  const counted = read()
  expect(counted).toBeGreaterThanOrEqual(before)
  expect(counted).toBeLessThanOrEqual(process.cpuUsage().user / 1e6)
})

it('tells how long the loop was held up since the last reading, less the pause of its own timer', async () => {
  const { meter } = start()
  const pause = () => new Promise((resolve) => setTimeout(resolve, 60))
  const delays = () => Object.values(samples(meter, 'nodejs_eventloop_delay'))
  await pause()
  delays()
  await pause()
  const until = performance.now() + 400
  while (performance.now() < until);
  await pause()
  const [, p99 = 0, max = 0] = delays()
  expect(p99).toBeGreaterThan(0.3)
  expect(max).toBeGreaterThan(0.3)
  expect(max).toBeGreaterThanOrEqual(p99 - 0.001)
  await pause()
  const [, , maxAfterwards = 1] = delays()
  expect(maxAfterwards).toBeLessThan(0.3)
})

it('reads the process and the event loop', async () => {
  const { meter } = start()
  const all = samples(meter)
  expect(all['process_memory_usage_bytes']).toBeGreaterThan(1e6)
  expect(all['process_uptime_seconds']).toBeGreaterThan(0)
  expect(all['process_uptime_seconds']).toBeLessThanOrEqual(process.uptime())
  expect(all['process_cpu_time_seconds_total{cpu_mode="user"}']).toBeGreaterThan(0)
  expect(Object.keys(all).filter((name) => name.startsWith('nodejs_'))).toEqual([
    'nodejs_eventloop_delay_p50_seconds{thread_name="recorder"}',
    'nodejs_eventloop_delay_p99_seconds{thread_name="recorder"}',
    'nodejs_eventloop_delay_max_seconds{thread_name="recorder"}',
  ])
})
