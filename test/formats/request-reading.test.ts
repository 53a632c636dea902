import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { formFields, outlined, readRequest } from '../../src/conclude/request-reading.ts'
import type { Opening } from '../../src/lib/exchange.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const opening = (requestHeaders: Record<string, string>): Opening => ({
  id: 'id',
  traceId: '',
  spanId: '',
  traceFlags: 1,
  startedAt: 0,
  method: 'POST',
  path: '/',
  route: 'default',
  serverAddress: 'h',
  serverPort: 1,
  requestHeaders,
})

describe('a request body', () => {
  it('is kept as an outline: settings stay, the conversation goes', () => {
    const body = {
      model: 'm',
      messages: [{ role: 'user', content: 'secret' }],
      input: 'long '.repeat(500),
      stop: ['a', 'b'],
      stream_options: { include_usage: true },
      temperature: 0,
      tools: [{ name: 'x' }],
      user: null,
    }
    expect(readRequest(opening({}), bytes(JSON.stringify(body)))).toEqual({
      outline: {
        model: 'm',
        messages: [],
        input: '',
        stop: ['a', 'b'],
        stream_options: { include_usage: true },
        temperature: 0,
        tools: [],
        user: null,
      },
    })
  })

  it('is decoded', () => {
    expect(readRequest(opening({ 'content-encoding': 'gzip' }), gzipSync('{"model":"m"}'))).toEqual({ outline: { model: 'm' } })
  })

  it.each([
    ['absent', undefined, {}],
    ['empty', bytes(''), {}],
    ['no JSON', bytes('{"model":'), {}],
    ['in an unknown encoding', bytes('x'), { 'content-encoding': 'weir' }],
  ])('that is %s has no outline', (_title, body, headers) => {
    expect(readRequest(opening(headers), body)).toEqual({ outline: undefined })
  })

  it('that is a form is read by its text fields, and its files are stepped over', () => {
    const form = [
      '--weir',
      'Content-Disposition: form-data; name="model"',
      '',
      'whisper-weir',
      '--weir',
      'Content-Disposition: form-data; name="file"; filename="a.wav"',
      'Content-Type: audio/wav',
      '',
      'RIFF\0\r\n\r\nname="model"\r\nbinary',
      '--weir',
      'Content-Disposition: form-data; name="stream"',
      '',
      'true',
      '--weir',
      'Content-Disposition: form-data; name="temperature"',
      '',
      '0.5',
      '--weir--',
      '',
    ].join('\r\n')
    for (const boundary of ['boundary=weir', 'boundary="weir"; charset=utf-8']) {
      const reading = readRequest(opening({ 'content-type': `multipart/form-data; ${boundary}` }), bytes(form))
      expect(reading).toEqual({ outline: { model: 'whisper-weir', stream: true, temperature: 0.5 } })
    }
  })

  it('that is a broken form is read as far as it goes', () => {
    const begun =
      '--weir\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--weir\r\nContent-Disposition: form-data; name="n"\r\n\r\n1'
    expect(formFields(bytes(begun), 'weir')).toEqual({ model: 'm' })
    expect(formFields(bytes('[multipart form data omitted]'), 'weir')).toEqual({})
  })
})

describe('an outline', () => {
  it('has a limit in depth, keys, lists and texts', () => {
    const deep = { a: { b: { c: { d: 1 } } } }
    expect(outlined(deep)).toEqual({ a: { b: { c: {} } } })
    expect(Object.keys(outlined(Object.fromEntries(Array.from({ length: 100 }, (_, key) => [`k${key}`, key]))) as object)).toHaveLength(64)
    expect(outlined({ stop: Array.from({ length: 17 }, () => 'x') })).toEqual({ stop: [] })
    expect(outlined({ model: 'x'.repeat(513) })).toEqual({ model: '' })
  })
})
