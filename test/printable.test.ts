import { expect, it } from 'vitest'
import { isPrintableLine, printableLine } from '../src/lib/printable.ts'

it('A text is printable where nothing of it would be escaped, for every character.', () => {
  const differing = Array.from({ length: 0x10000 }, (_, code) => `a${String.fromCharCode(code)}b`).filter(
    (text) => isPrintableLine(text) !== (printableLine(text) === text),
  )
  expect(differing).toEqual([])
})
