import { describe, expect, it } from 'vitest'
import { chooseFraming } from '../../src/observe/frames/choose.ts'
import { event } from './encode.ts'

function choose(contentType: string | undefined, firstBytes: string, arrayStream = false): string {
  return chooseFraming({ contentType, arrayStream, firstBytes: Buffer.from(firstBytes) })
}

describe('the framing of a body', () => {
  it.each([
    ['text/event-stream', '', 'sse'],
    [' Text/Event-Stream ;charset=UTF-8', '', 'sse'],
    ['text/event-stream', '\n\n', 'sse'],
    ['text/event-stream', 'nonsense', 'sse'],
    ['application/x-ndjson', '{"a":1}', 'ndjson'],
    ['application/jsonl', '', 'ndjson'],
    ['application/stream+json', '{', 'ndjson'],
    ['application/json-seq; x=y', '\x1e{', 'ndjson'],
    ['application/vnd.amazon.eventstream', '\0\0\0\x9e', 'eventstream'],
    ['application/json', '{', 'whole'],
    ['application/json; charset=utf-8', '', 'whole'],
    ['application/json', '\n     \n', 'whole'],
    ['application/problem+json', '{', 'whole'],
    ['text/json', '[', 'whole'],
    ['application/json', 'oops', 'whole'],
    ['audio/mpeg', '{', 'none'],
    ['image/png', 'data: x', 'none'],
    ['video/mp4', '', 'none'],
    ['application/pdf', '', 'none'],
  ])('of type %s that begins with %j is %s', (contentType, firstBytes, framing) => {
    expect(choose(contentType, firstBytes)).toBe(framing)
  })

  it.each([undefined, '', 'text/plain', 'text/html', 'application/octet-stream', 'binary/octet-stream', ';'])(
    'of type %j, which says nothing, is told by its first bytes',
    (contentType) => {
      const firstBytes = [
        'data: {}',
        'event: x',
        ': ping',
        'id: 1',
        'retry: 1',
        'dat',
        '\ufeff\r\ndata:',
        '{"a"',
        ' \n[',
        '',
        'Hello',
        '<html>',
        'datum',
      ]
      expect(firstBytes.map((bytes) => choose(contentType, bytes))).toEqual([
        ...['sse', 'sse', 'sse', 'sse', 'sse', 'sse', 'sse', 'whole', 'whole', 'whole', 'none', 'none', 'none'],
      ])
    },
  )

  it.each([undefined, 'application/octet-stream'])('of type %j is an event-stream where it begins with a whole prelude', (type) => {
    const message = event('chunk', '{}')
    const told = (firstBytes: Buffer) => chooseFraming({ contentType: type, arrayStream: false, firstBytes })
    const broken = Buffer.from(message)
    broken[8] = (broken[8] as number) ^ 1
    expect([message, message.subarray(0, 12), message.subarray(0, 11), broken].map(told)).toEqual([
      ...['eventstream', 'eventstream', 'none', 'none'],
    ])
  })

  it('is that of its first bytes where an upstream mislabels it', () => {
    expect(['application/json', 'application/x-ndjson', 'text/html'].map((type) => choose(type, 'data: {"a":1}\n\n'))).toEqual([
      'sse',
      'sse',
      'sse',
    ])
    expect(choose('application/json', 'event: error\n', true)).toBe('sse')
    expect(choose('text/event-stream', '{"error":{}}')).toBe('whole')
  })

  it('is a JSON array where the path sends one element by element', () => {
    expect(['application/json', undefined, 'text/plain'].map((type) => choose(type, '[{', true))).toEqual([
      'json-array',
      'json-array',
      'json-array',
    ])
    expect(['', '[', '\n'].map((firstBytes) => choose('application/json; charset=UTF-8', firstBytes, true))).toEqual([
      ...['json-array', 'json-array', 'json-array'],
    ])
    expect(choose('text/event-stream', 'data: 1', true)).toBe('sse')
  })

  it('is whole where such a path answers with one object, as for an error', () => {
    expect(choose('application/json', '{"error":{}}', true)).toBe('whole')
  })
})
