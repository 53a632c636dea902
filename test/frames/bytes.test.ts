import { describe, expect, it } from 'vitest'
import { gather } from '../../src/observe/frames/bytes.ts'

const kibibyte = 1024
const bytes = Buffer.alloc(100 * kibibyte, 'x')

describe('gathered bytes', () => {
  it('take no more room than they may', () => {
    const gathered = gather(90 * kibibyte)
    gathered.append(bytes, 0, 60 * kibibyte)
    gathered.append(bytes, 0, 1)
    expect({ length: gathered.length(), capacity: gathered.view().buffer.byteLength }).toEqual({
      length: 60 * kibibyte + 1,
      capacity: 90 * kibibyte,
    })
  })

  it('are refused as a whole when they are too many', () => {
    const gathered = gather(10)
    expect([gathered.append(bytes, 0, 10), gathered.append(bytes, 0, 1), gathered.append(bytes, 0, 0)]).toEqual([true, false, true])
    expect(gathered.view()).toEqual(bytes.subarray(0, 10))
  })

  it('give a large block back when they are cleared, and keep a small one', () => {
    const gathered = gather(100 * kibibyte)
    const capacityAfter = (length: number) => {
      gathered.append(bytes, 0, length)
      gathered.clear()
      gathered.append(bytes, 0, 5 * kibibyte)
      const capacity = gathered.view().buffer.byteLength
      gathered.clear()
      return capacity
    }
    expect([16, 17].map((length) => capacityAfter(length * kibibyte))).toEqual([16 * kibibyte, 5 * kibibyte])
  })
})
