import { expect, it } from 'vitest'
import { remembered } from '../src/lib/remembered.ts'

function counting() {
  const made: string[] = []
  const of = remembered((text) => {
    made.push(text)
    return { text }
  })
  return { of, made }
}

it('a text gives what was made of it before', () => {
  const { of, made } = counting()
  expect(of('a')).toBe(of('a'))
  expect(of('b')).toEqual({ text: 'b' })
  expect(made).toEqual(['a', 'b'])
})

it('nothing is kept of a long text', () => {
  const { of, made } = counting()
  const text = 'x'.repeat(1001)
  expect(of(text)).not.toBe(of(text))
  expect(made).toHaveLength(2)
})

it('nothing is kept of a text that gives nothing', () => {
  let count = 0
  const of = remembered(() => {
    count++
    return undefined
  })
  expect([of('a'), of('a'), count]).toEqual([undefined, undefined, 2])
})

it('long texts and those that give nothing take no place of others', () => {
  const made: string[] = []
  const of = remembered((text) => {
    made.push(text)
    return text === 'nothing' ? undefined : text
  })
  for (let n = 0; n < 1000; n++) of(`${n}`)
  of('nothing')
  of('x'.repeat(1001))
  of('0')
  expect(made).toHaveLength(1002)
})

it('a thousand texts are kept, and begin anew', () => {
  const { of, made } = counting()
  for (let n = 0; n < 1000; n++) of(`${n}`)
  of('0')
  expect(made).toHaveLength(1000)
  of('one more')
  of('0')
  expect(made).toHaveLength(1002)
})
