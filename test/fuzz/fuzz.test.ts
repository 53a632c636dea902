/** A short run of the fuzzer with a fixed seed; `npm run fuzz` runs long ones. */
import { describe, expect, it } from 'vitest'
import { ownRecordings } from '../recordings/recording.ts'
import { randomOf } from './cases.ts'
import { Broken, checkFacts } from './checks.ts'
import { fuzz, growth } from './fuzz.ts'
import { cut, damaged } from './mutate.ts'

const pool = ownRecordings()

describe('damaged recordings', () => {
  it('break no framer, format, decoder or proxy, and are not kept', async () => {
    const { done, failure, memory } = await fuzz({ pool, seed: 2026, count: 2000 })
    expect(failure).toBeUndefined()
    expect([done, memory.length]).toEqual([2000, 10])
    expect(growth(memory)).toBeLessThan(24 * 1024 * 1024)
  })

  it('are the same for the same seed and index', () => {
    const made = () => {
      const random = randomOf(7, 42)
      return cut(
        damaged(pool[0]?.body ?? Buffer.alloc(0), random, () => pool[1]?.body ?? Buffer.alloc(0)),
        random,
      ).map((chunk) => chunk.toString('latin1'))
    }
    expect(made()).toEqual(made())
  })

  it('are noticed when something breaks', async () => {
    const broken = {
      ...pool[0],
      get body(): Buffer {
        throw new Broken('seen')
      },
    } as (typeof pool)[number]
    const { done, failure } = await fuzz({ pool: [broken], seed: 1, first: 9, count: 3 })
    expect([done, failure?.index, failure?.error.message]).toEqual([0, 9, 'seen'])
    expect(() => checkFacts({ usage: { inputTokens: 1.5 } })).toThrow('usage.inputTokens is 1.5')
    expect(() => checkFacts({ usage: { outputTokens: -1 } })).toThrow(Broken)
    expect(() => checkFacts({ id: 'x'.repeat(40_000) })).toThrow('characters of facts')
  })
})
