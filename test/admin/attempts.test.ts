import { expect, it } from 'vitest'
import { createAttempts } from '../../src/admin/attempts.ts'

function fail(attempts: ReturnType<typeof createAttempts>, address: string, times: number): void {
  for (let n = 0; n < times; n++) attempts.failed(address)
}

it('ten failures in a minute are the end of it for an address, until that minute is over', () => {
  let now = 0
  const attempts = createAttempts(() => now)
  fail(attempts, '10.0.0.1', 9)
  now = 59_000
  expect(attempts.isLimited('10.0.0.1')).toBe(false)
  fail(attempts, '10.0.0.1', 1)
  expect([attempts.isLimited('10.0.0.1'), attempts.isLimited('10.0.0.2'), attempts.isLimited(undefined)]).toEqual([true, false, false])
  now = 60_000
  expect(attempts.isLimited('10.0.0.1')).toBe(false)
  fail(attempts, '10.0.0.1', 9)
  expect(attempts.isLimited('10.0.0.1')).toBe(false)
})

it.each([
  ['10.0.0.1', '::ffff:10.0.0.1', true],
  ['::ffff:10.0.0.2', '::ffff:10.0.0.1', false],
  ['2001:db8:1:2::5', '2001:db8:1:2:aaaa:bbbb:cccc:dddd', true],
  ['2001:db8::5', '2001:db8:0:0:1::', true],
  ['2001:db8:1:2::5', '2001:db8:1:3::5', false],
  ['::1', '::2', true],
  ['::1', '10.0.0.1', false],
  ['fe80::1%eth0', 'fe80::2%eth0', true],
])('%s and %s are one: %s', (one, other, isOne) => {
  const attempts = createAttempts(() => 0)
  fail(attempts, one, 10)
  expect([attempts.isLimited(one), attempts.isLimited(other)]).toEqual([true, isOne])
})

it('a flood of addresses makes it forget the first, and grow no more', () => {
  const attempts = createAttempts(() => 0)
  fail(attempts, 'first', 10)
  fail(attempts, 'second', 10)
  for (let n = 0; n < 1023; n++) attempts.failed(`10.1.${n >> 8}.${n & 255}`)
  expect([attempts.isLimited('first'), attempts.isLimited('second')]).toEqual([false, true])
})
