import { describe, expect, it } from 'vitest'
import { isTimeZone, momentOfWall, periodAt, periodName, reportPeriods } from '../src/lib/period.ts'

const at = (text: string) => Date.parse(text)
const range = (since: string, until: string) => ({ sinceMs: at(since), untilMs: at(until) })

describe('a period', () => {
  it.each([
    ['2026-11-28T12:00:00Z', 'day', 'UTC', '2026-11-28T00:00Z', '2026-11-29T00:00Z'],
    ['2026-11-28T12:00:00Z', 'week', 'UTC', '2026-11-23T00:00Z', '2026-11-30T00:00Z'],
    ['2026-11-30T00:00:00Z', 'week', 'UTC', '2026-11-30T00:00Z', '2026-12-07T00:00Z'],
    ['2026-11-28T12:00:00Z', 'month', 'UTC', '2026-11-01T00:00Z', '2026-12-01T00:00Z'],
    ['2026-12-31T23:59:59.999Z', 'month', 'UTC', '2026-12-01T00:00Z', '2027-01-01T00:00Z'],
    ['2028-02-29T12:00:00Z', 'month', 'UTC', '2028-02-01T00:00Z', '2028-03-01T00:00Z'],
    // It is the first of the month there already, or still the last.
    ['2026-11-30T23:30:00Z', 'month', 'Europe/Berlin', '2026-11-30T23:00Z', '2026-12-31T23:00Z'],
    ['2026-12-01T03:00:00Z', 'day', 'America/New_York', '2026-11-30T05:00Z', '2026-12-01T05:00Z'],
    // The clock goes forward, and back: 23 and 25 hours.
    ['2026-03-29T12:00:00Z', 'day', 'Europe/Berlin', '2026-03-28T23:00Z', '2026-03-29T22:00Z'],
    ['2026-10-25T12:00:00Z', 'day', 'Europe/Berlin', '2026-10-24T22:00Z', '2026-10-25T23:00Z'],
    // Half an hour beside the others, and a midnight that does not exist.
    ['2026-06-01T00:00:00Z', 'day', 'Asia/Kolkata', '2026-05-31T18:30Z', '2026-06-01T18:30Z'],
    ['2026-09-06T12:00:00Z', 'day', 'America/Santiago', '2026-09-06T04:00Z', '2026-09-07T03:00Z'],
    ['2026-11-28T12:34:56Z', 'hour', 'UTC', '2026-11-28T12:00Z', '2026-11-28T13:00Z'],
    ['2026-11-28T12:15:00Z', 'hour', 'Asia/Kolkata', '2026-11-28T11:30Z', '2026-11-28T12:30Z'],
    ['2026-11-28T12:15:00Z', 'hour', 'Asia/Kathmandu', '2026-11-28T12:15Z', '2026-11-28T13:15Z'],
    // The clock goes back within an hour, one minute after midnight.
    ['2006-10-29T02:30:30Z', 'hour', 'America/St_Johns', '2006-10-29T02:30Z', '2006-10-29T02:31Z'],
    ['2006-10-29T02:40:00Z', 'hour', 'America/St_Johns', '2006-10-29T02:31Z', '2006-10-29T03:30Z'],
    // The clock goes back by half an hour, at two: half an hour comes twice.
    ['2026-04-04T14:50:00Z', 'hour', 'Australia/Lord_Howe', '2026-04-04T14:00Z', '2026-04-04T15:00Z'],
    ['2026-04-04T15:10:00Z', 'hour', 'Australia/Lord_Howe', '2026-04-04T15:00Z', '2026-04-04T15:30Z'],
  ] as const)('of %s, a %s in %s', (moment, period, zone, since, until) => {
    expect(periodAt(at(moment), period, zone)).toEqual(range(since, until))
  })

  it('holds its moment and joins the next without a gap, wherever and whenever', () => {
    for (const zone of [
      'UTC',
      'Europe/Berlin',
      'America/Santiago',
      'Asia/Kolkata',
      'Pacific/Apia',
      'Australia/Lord_Howe',
      'Africa/Cairo',
    ]) {
      for (const period of reportPeriods) {
        let moment = at('2025-12-30T00:00:00Z') + 12_345
        for (let turn = 0; turn < 400; turn++) {
          const { sinceMs, untilMs } = periodAt(moment, period, zone)
          expect([sinceMs <= moment, moment < untilMs]).toEqual([true, true])
          expect(periodAt(untilMs - 1, period, zone)).toEqual({ sinceMs, untilMs })
          expect(periodAt(untilMs, period, zone).sinceMs).toBe(untilMs)
          moment = untilMs + ((turn * 7919) % 3_600_000)
        }
      }
    }
  })
})

it('Names of time zones are known, others are not.', () => {
  expect(['UTC', 'Europe/Berlin', 'Mars/Olympus', ''].map(isTimeZone)).toEqual([true, true, false, false])
})

describe('the name of a period', () => {
  it.each([
    ['2026-11-30T23:00Z', 'month', 'Europe/Berlin', '2026-12'],
    ['2026-11-22T23:00Z', 'week', 'Europe/Berlin', '2026-11-23'],
    ['2026-09-06T04:00Z', 'day', 'America/Santiago', '2026-09-06'],
    // The hour that comes twice has two names.
    ['2026-10-25T00:00Z', 'hour', 'Europe/Berlin', '2026-10-25T02:00+02:00'],
    ['2026-10-25T01:00Z', 'hour', 'Europe/Berlin', '2026-10-25T02:00+01:00'],
    ['2026-11-28T12:00Z', 'hour', 'America/St_Johns', '2026-11-28T08:30-03:30'],
  ] as const)('at %s, a %s in %s', (moment, period, zone, name) => {
    expect(periodName(at(moment), period, zone)).toBe(name)
  })
})

it('A time on the wall is the moment that shows it first.', () => {
  expect(momentOfWall(at('2026-10-25T02:30Z'), 'Europe/Berlin')).toBe(at('2026-10-25T00:30Z'))
})
