import { expect, it } from 'vitest'
import { createUsageWatch } from '../../src/proxy/inject/watch.ts'

const usage = 'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'

it.each([
  ['at [DONE], at which the client leaves', ['data: {}\n\nda', 'ta: [DO', 'NE]\n\n'], false, [false]],
  ['at [DONE] and at the end, once', [usage, 'data: [DONE]\n\n'], true, [true]],
  ['at the end, where there is no [DONE]', [usage], true, [true]],
  ['never, when it is cut', ['data: {}\n\n'], false, []],
])('is told %s', (_, chunks, ends, expected) => {
  const told: boolean[] = []
  const watch = createUsageWatch((hasUsage) => told.push(hasUsage))
  for (const chunk of chunks) watch.push(Buffer.from(chunk))
  if (ends) watch.end()
  expect(told).toEqual(expected)
})
