/** Runs many cases, watches memory, and stops at the first that breaks something. */
import { startObservedProxy } from '../observe/harness.ts'
import type { Recording } from '../recordings/recording.ts'
import { runCase } from './cases.ts'
import { bytesHeld, bytesInUse } from './memory.ts'

export interface FuzzOptions {
  readonly pool: readonly Recording[]
  readonly seed: number
  /** Cases `first` to `first + count - 1`. */
  readonly first?: number
  readonly count: number
  readonly onProgress?: (done: number) => void
}

export interface FuzzResult {
  readonly done: number
  readonly failure?: { readonly index: number; readonly error: Error } | undefined
  /** Bytes in use after garbage collection, at the tenths of the run. */
  readonly memory: readonly number[]
}

const messageBytesMax = 64 * 1024
/** Twice the limit is allowed to a framer; the rest is what a measurement of a whole process is off by. */
const heldBytesMax = 2 * messageBytesMax + 1024 * 1024

export async function fuzz({ pool, seed, first = 0, count, onProgress }: FuzzOptions): Promise<FuzzResult> {
  for (const framing of ['sse', 'ndjson', 'json-array', 'eventstream', 'whole'] as const) {
    const held = bytesHeld(framing, messageBytesMax)
    if (held > heldBytesMax) return { done: 0, memory: [], failure: { index: -1, error: new Error(`${framing} holds ${held} bytes`) } }
  }
  const limits = { bodyBytesMax: 1024 * 1024, messageBytesMax }
  const observing = await startObservedProxy({ ...limits, capture: 'observe' })
  const injecting = await startObservedProxy({ ...limits, capture: 'inject' })
  const memory: number[] = []
  const tenth = Math.max(1, Math.floor(count / 10))
  try {
    for (let done = 0; done < count; done++) {
      try {
        const later = runCase(seed, first + done, { pool, observing, injecting })
        if (later !== undefined) await later
      } catch (error) {
        return { done, memory, failure: { index: first + done, error: error instanceof Error ? error : new Error(String(error)) } }
      }
      if ((done + 1) % tenth === 0) memory.push(bytesInUse())
      if (done % 1000 === 999) onProgress?.(done + 1)
    }
  } finally {
    await Promise.all([observing.close(), injecting.close()])
  }
  return { done: count, memory }
}

/** Bytes by which memory has grown since the first tenth, when caches and compiled code had come to rest. */
export function growth(memory: readonly number[]): number {
  const settled = memory.slice(1)
  return settled.length === 0 ? 0 : Math.min(...settled.slice(-3)) - (settled[0] ?? 0)
}
