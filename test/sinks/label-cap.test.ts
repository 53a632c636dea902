import { describe, expect, it } from 'vitest'
import { createLabelCap } from '../../src/sinks/label-cap.ts'
import { createMeter } from '../../src/telemetry/meter.ts'

const capOf = (valuesMax: number) => createLabelCap(valuesMax, createMeter(Date.now))

describe('a capped label', () => {
  it('keeps the first values, and says other to later ones', () => {
    const cap = capOf(2)
    const given = ['a', 'b', 'c', 'a', undefined, 'd']
    expect(given.map((value) => cap.value('gen_ai.provider.name', value))).toEqual(['a', 'b', 'other', 'a', undefined, 'other'])
  })

  it('has its own count for each label', () => {
    const cap = capOf(1)
    expect([cap.value('gen_ai.provider.name', 'a'), cap.value('error.type', 'b')]).toEqual(['a', 'b'])
  })

  it('takes no value of unbounded length', () => {
    const cap = capOf(10)
    expect([cap.value('error.type', 'x'.repeat(200)), cap.value('error.type', 'x'.repeat(201))]).toEqual(['x'.repeat(200), 'other'])
  })
})

describe('the models of a request', () => {
  it('are capped as a pair, and a known request model outlives the pair', () => {
    const cap = capOf(2)
    expect(cap.models('a', 'a-1')).toEqual({ request: 'a', response: 'a-1' })
    expect(cap.models('b', 'b-1')).toEqual({ request: 'b', response: 'b-1' })
    expect(cap.models('a', 'a-2')).toEqual({ request: 'a', response: 'other' })
    expect(cap.models('c', 'c-1')).toEqual({ request: 'other', response: 'other' })
    expect(cap.models('a', 'a-1')).toEqual({ request: 'a', response: 'a-1' })
    expect(cap.models('a', undefined)).toEqual({ request: 'a', response: undefined })
  })
})
