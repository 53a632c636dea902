import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { momentOf, openRangeOf, rangeOf } from '../src/lib/range.ts'

describe('times as people write them', () => {
  const now = Date.UTC(2026, 10, 23, 12)
  it.each([
    ['15m', now - 900_000],
    ['1.5h', now - 5_400_000],
    ['30d', now - 30 * 86_400_000],
    ['2026-11-23T08:00:00Z', Date.UTC(2026, 10, 23, 8)],
    ['2026-11-23 08:00+02:00', Date.UTC(2026, 10, 23, 6)],
    ['2w', now - 14 * 86_400_000],
  ])('%s', (text, expected) => {
    expect(momentOf(text, now)).toBe(expected)
  })

  it('of a week ago or more are the whole hour before; of less, the moment', () => {
    const later = now + 34 * 60_000 + 56_789
    expect(['7d', '1w', '30.5d', '168h', '6d', '167h'].map((text) => momentOf(text, later) - now)).toEqual([
      ...[-7 * 86_400_000, -7 * 86_400_000, -30.5 * 86_400_000, -168 * 3_600_000],
      ...[later - now - 6 * 86_400_000, later - now - 167 * 3_600_000],
    ])
  })

  it.each(['yesterday', '15', '2026-11', '15 fortnights', '2026-13-01', '2026', ''])('%j is refused', (text) => {
    expect(() => momentOf(text, now)).toThrow(`${JSON.stringify(text)} is no time. Write how long ago (15m, 24h, 30d) or a date`)
  })

  it.each([
    ['Etc/UTC', 0],
    ['Asia/Tokyo', -9],
    ['America/New_York', 5],
  ])('without a zone are local in %s, a date alone its midnight there', (zone, hours) => {
    const program = `import('./src/lib/range.ts').then(({ momentOf }) => console.log(JSON.stringify(process.argv.slice(1).map((text) => momentOf(text, 0)))))`
    const texts = ['2026-11-23', '2026-11-23T00:00', '2026-11-23 00:00:00', '2026-11-23T00:00Z']
    const { stdout } = spawnSync(process.execPath, ['-e', program, ...texts], {
      cwd: resolve(import.meta.dirname, '..'),
      env: { ...process.env, TZ: zone },
      encoding: 'utf8',
    })
    const local = Date.UTC(2026, 10, 23, hours)
    expect(JSON.parse(stdout)).toEqual([local, local, local, Date.UTC(2026, 10, 23)])
  })

  it('are refused in the wrong order', () => {
    expect(() => rangeOf({ since: '1h', until: '2h' }, now, '24h')).toThrow('The range is empty: since is not before until.')
    expect(() => openRangeOf({ since: '2026-11-24' }, now)).toThrow('The range is empty: since is not before until.')
    expect(rangeOf({}, now, '24h')).toEqual({ sinceMs: now - 86_400_000, untilMs: now })
  })

  it('leave a side open of which nothing is said, where that is asked for', () => {
    expect(openRangeOf({}, now)).toEqual({ sinceMs: undefined, untilMs: undefined })
    expect(openRangeOf({ until: '1h' }, now)).toEqual({ sinceMs: undefined, untilMs: now - 3_600_000 })
  })
})
