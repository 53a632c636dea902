/** What the page saves as CSV: a plain module that a browser runs, so it is tested as it is. */
import { expect, it } from 'vitest'
// @ts-expect-error It is JavaScript with types in comments, which this configuration does not read.
import { csvOf } from '../../src/admin/page/csv.js'

it.each([
  ['plain', 'plain'],
  ['a,b', '"a,b"'],
  ['say "hi"', '"say ""hi"""'],
  ['=1+1', "'=1+1"],
  [' \u200b+1', "' \u200b+1"],
  ['\uff1dcmd', "'\uff1dcmd"],
  ['@SUM(A1,A2)', '"\'@SUM(A1,A2)"'],
  ['-5', "'-5"],
  ['two\nlines\r', 'two\\nlines\\u000d'],
  ['\u202eevil', '\\u202eevil'],
  [-5, '-5'],
  [0, '0'],
  [null, ''],
  [undefined, ''],
])('%j is written as %j', (value, cell) => {
  expect(csvOf([{ name: value }])).toBe(`name\n${cell}\n`)
})

it('the first line has the names, also those that look like formulas', () => {
  expect(csvOf([{ '=a': 1, b: 2 }])).toBe("'=a,b\n1,2\n")
})
