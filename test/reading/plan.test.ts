/** Which rollups answer for which moments, as whole plans. */
import { expect, it } from 'vitest'
import { planOf } from '../../src/ledger/queries/plan.ts'
import { emptyState, grain, type RollupState } from '../../src/ledger/rollups/grains.ts'

const at = (text: string) => Date.parse(`${text}Z`)

function planned(since: string, until: string, state: Partial<RollupState>, view: 'callers' | 'providers' = 'callers') {
  const { cells, rows } = planOf([{ sinceMs: at(since), untilMs: at(until) }], {
    ...{ state: { ...emptyState, ...state }, view, cellsFrom: 0, rowsFrom: Number.MIN_SAFE_INTEGER },
  })
  const moment = (minutes: number) => new Date(minutes * 60_000).toISOString().slice(5, 16)
  return {
    cells: cells.map(({ grain: one, since: from, until: to }) => [one, moment(from), moment(to)]),
    rows: rows.map(({ sinceMs, untilMs }) => [sinceMs, untilMs].map((ms) => new Date(ms).toISOString().slice(5, 19))),
  }
}

const added = {
  quartersUntil: at('2026-11-28T13:17'),
  hoursUntil: at('2026-11-28T13:15'),
  daysUntil: at('2026-11-28T13:00'),
}

it('takes the longest periods, also the last of each, of which there is only a part', () => {
  expect(planned('2026-11-25T22:40:30', '2026-11-28T13:19:10', added)).toEqual({
    cells: [
      [grain.day.callers, '11-26T00:00', '11-28T13:00'],
      [grain.hour.callers, '11-25T23:00', '11-26T00:00'],
      [grain.quarter.callers, '11-25T22:45', '11-25T23:00'],
      [grain.minute, '11-25T22:41', '11-25T22:45'],
      [grain.hour.callers, '11-28T13:00', '11-28T13:15'],
      [grain.quarter.callers, '11-28T13:15', '11-28T13:17'],
      [grain.minute, '11-28T13:17', '11-28T13:19'],
    ],
    rows: [
      ['11-25T22:40:30', '11-25T22:41:00'],
      ['11-28T13:19:00', '11-28T13:19:10'],
    ],
  })
})

it('takes weeks, which begin on Thursdays, from the first of which every day is there', () => {
  const state = { ...added, weeksUntil: at('2026-11-28T00:00') }
  const plan = (more: Partial<RollupState>) => planned('2026-11-02T00:00', '2026-11-28T13:00', { ...state, ...more }).cells
  expect(plan({})).toEqual([
    [grain.week.callers, '11-05T00:00', '11-28T00:00'],
    [grain.day.callers, '11-02T00:00', '11-05T00:00'],
    [grain.day.callers, '11-28T00:00', '11-28T13:00'],
  ])
  expect(plan({ weeksFrom: at('2026-11-12T00:00') })).toEqual([
    [grain.week.callers, '11-12T00:00', '11-28T00:00'],
    [grain.day.callers, '11-02T00:00', '11-12T00:00'],
    [grain.day.callers, '11-28T00:00', '11-28T13:00'],
  ])
  expect(plan({ weeksKey: 5 })[0]).toEqual([grain.week.callers, '11-05T00:00', '11-26T00:00'])
  expect(plan({ weeksUntil: 0 })).toEqual([[grain.day.callers, '11-02T00:00', '11-28T13:00']])
})

it('takes no part of a period that is being added to, nor one that is longer than the range', () => {
  expect(planned('2026-11-28T00:00', '2026-11-28T13:20', { ...added, daysKey: 7 }).cells).toEqual([
    [grain.hour.callers, '11-28T00:00', '11-28T13:15'],
    [grain.quarter.callers, '11-28T13:15', '11-28T13:17'],
    [grain.minute, '11-28T13:17', '11-28T13:20'],
  ])
  expect(planned('2026-11-28T00:00', '2026-11-28T12:30', added).cells).toEqual([
    [grain.hour.callers, '11-28T00:00', '11-28T12:00'],
    [grain.quarter.callers, '11-28T12:00', '11-28T12:30'],
  ])
})

it('has all combinations, and no quarters, of the time before there were others', () => {
  const plan = (view: 'callers' | 'providers') =>
    planned('2026-11-26T22:30', '2026-11-28T00:30', { ...added, quartersFrom: at('2026-11-27T00:00') }, view).cells
  expect(plan('callers')).toEqual([
    [grain.hour.all, '11-26T23:00', '11-27T00:00'],
    [grain.minute, '11-26T22:30', '11-26T23:00'],
    [grain.day.callers, '11-27T00:00', '11-28T00:00'],
    [grain.quarter.callers, '11-28T00:00', '11-28T00:30'],
  ])
  expect(plan('providers').slice(0, 2)).toEqual([
    [grain.hour.providers, '11-26T23:00', '11-27T00:00'],
    [grain.minute, '11-26T22:30', '11-26T23:00'],
  ])
  // Nor of a part of its last period.
  expect(planned('2026-11-28T12:00', '2026-11-28T13:20', { ...added, quartersFrom: at('2026-11-29T00:00') }, 'providers').cells).toEqual([
    [grain.hour.providers, '11-28T12:00', '11-28T13:00'],
    [grain.minute, '11-28T13:00', '11-28T13:20'],
  ])
})
