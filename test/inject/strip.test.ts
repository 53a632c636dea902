import { describe, expect, it } from 'vitest'
import { createStrip } from '../../src/proxy/inject/strip.ts'

const usageOnly = '{"id":"c1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}'

function through(parts: readonly Buffer[]): { all: string; calls: string[] } {
  const strip = createStrip()
  const calls = parts.map((part) => Buffer.concat(strip.push(part)).toString('latin1'))
  calls.push(Buffer.concat(strip.end()).toString('latin1'))
  return { all: calls.join(''), calls }
}

const bodyOf = (feed: string, space: string) => {
  const event = (data: string) => `data:${space}${data}${feed}${feed}`
  const before = `: hello${feed}${feed}${event('{"choices":[{"delta":{"content":"ä"}}],"usage":null}')}${event('{"choices":[],"prompt_filter_results":[]}')}`
  const after = event('[DONE]')
  return { whole: before + event(usageOnly) + after, stripped: before + after, last: `${before}data:${space}${usageOnly}`, before }
}

describe('stripping', () => {
  describe.each([
    ['\n', ' '],
    ['\r\n', ' '],
    ['\n', ''],
  ])('with line feed %j and space %j', (feed, space) => {
    const { whole, stripped, last, before } = bodyOf(feed, space)
    const bytes = Buffer.from(whole)

    it('takes out the usage-only chunk and nothing else, wherever the body is cut', () => {
      const expected = Buffer.from(stripped).toString('latin1')
      for (let cut = 0; cut <= bytes.length; cut++) {
        expect(through([bytes.subarray(0, cut), bytes.subarray(cut)]).all).toBe(expected)
      }
      expect(through([...bytes].map((byte) => Buffer.from([byte]))).all).toBe(expected)
    })

    it('takes it out of a body that ends without a blank line', () => {
      expect(through([Buffer.from(last)]).all).toBe(Buffer.from(before).toString('latin1'))
    })
  })

  it('passes whole events on in the same call', () => {
    const events = ['data: {"choices":[{"delta":{}}]}\n\n', 'data: {"a":1}\n\ndata: {"b":2}\n\n', 'data: [DONE]\n\n']
    expect(through(events.map((event) => Buffer.from(event))).calls).toEqual([...events, ''])
  })

  it('keeps a chunk that has both usage and choices', () => {
    const event = 'data: {"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}\n\n'
    expect(through([Buffer.from(event)]).all).toBe(event)
  })

  const finish = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'

  // As LiteLLM 1.106 sends it.
  it.each([
    '{"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":1,"cost":0.1}}',
    '{"choices":[{"index":0}],"usage":{"prompt_tokens":1}}',
  ])('takes out %s once a choice has ended, and keeps it before', (empty) => {
    const event = `data: ${empty}\n\n`
    const bytes = Buffer.from(event + finish + event)
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(through([bytes.subarray(0, cut), bytes.subarray(cut)]).all).toBe(event + finish)
    }
  })

  it.each([
    '{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":1}}',
    // OpenRouter's, which comes whether it was asked for or not.
    '{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"native_finish_reason":null}],"usage":{"prompt_tokens":1}}',
    '{"choices":[{"index":0,"text":"","finish_reason":null}],"usage":{"prompt_tokens":1}}',
    '{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}',
    '{"choices":[{"index":0,"delta":{"tool_calls":[]}}],"usage":{"prompt_tokens":1}}',
    '{"choices":[{"index":0,"delta":{}}],"usage":null}',
    '{"choices":[7],"usage":{"prompt_tokens":1}}',
    '{"choices":[null],"usage":{"prompt_tokens":1}}',
  ])('keeps %s after the end of a choice', (data) => {
    const events = `${finish}data: ${data}\n\n`
    expect(through([Buffer.from(events)]).all).toBe(events)
  })

  it('lets an event of any size through, and goes on stripping after it', () => {
    const large = `data: ${'x'.repeat(600_000)}\n\n`
    const parts = [
      large.slice(0, 200_000),
      large.slice(200_000, 400_000),
      `${large.slice(400_000)}data: ${usageOnly}\n\n`,
      'data: [DONE]\n\n',
    ]
    expect(through(parts.map((part) => Buffer.from(part))).all).toBe(`${large}data: [DONE]\n\n`)
  })
})
