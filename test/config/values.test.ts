import { describe, expect, it } from 'vitest'
import * as values from '../../src/config/values.ts'

/** What a reader makes of a value: the value, or the sentence. */
function read<T>(reader: (value: unknown) => T, value: unknown): T | string {
  try {
    return reader(value)
  } catch (error) {
    if (error instanceof values.ValueError) return error.message
    throw error
  }
}

const addressMend = 'Write host:port (127.0.0.1:4141), [ipv6]:port, :port for every interface, or a port alone for 127.0.0.1.'

describe('an address', () => {
  it.each([
    ['127.0.0.1:4141', { host: '127.0.0.1', port: 4141 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['my-host.example:65535', { host: 'my-host.example', port: 65_535 }],
    ['[::1]:4141', { host: '::1', port: 4141 }],
    ['[::]:80', { host: '::', port: 80 }],
    [':4141', { host: '0.0.0.0', port: 4141 }],
    ['4141', { host: '127.0.0.1', port: 4141 }],
    [4141, { host: '127.0.0.1', port: 4141 }],
  ])('reads %j', (text, address) => {
    expect(read(values.address, text)).toEqual(address)
  })

  it.each([
    ['localhost', `"localhost" is not an address. ${addressMend}`],
    ['::1:4141', `"::1:4141" is not an address. ${addressMend}`],
    ['http://127.0.0.1:4141', `"http://127.0.0.1:4141" is not an address. ${addressMend}`],
    ['127.0.0.1:65536', `"127.0.0.1:65536" has a port above 65535. ${addressMend}`],
    ['', `an empty value is not an address. ${addressMend}`],
    [null, `an empty value is not an address. ${addressMend}`],
    [4141.5, `4141.5 is not an address. ${addressMend}`],
    [{ port: 4141 }, `a mapping is not an address. ${addressMend}`],
  ])('refuses %j', (text, sentence) => {
    expect(read(values.address, text)).toBe(sentence)
  })
})

describe('an upstream', () => {
  it.each([
    ['http://127.0.0.1:8000', 'http://127.0.0.1:8000/'],
    ['https://api.openai.com', 'https://api.openai.com/'],
    ['https://gateway.example/llm/', 'https://gateway.example/llm/'],
    ['HTTP://[::1]:8000/base', 'http://[::1]:8000/base'],
  ])('reads %j', (text, href) => {
    expect((read(values.upstream, text) as URL).href).toBe(href)
  })

  const mend = 'Write http:// or https://, the host, and where needed a port and a base path: https://api.openai.com'
  it.each([
    ['localhost:8000', `"localhost:8000" does not begin with http:// or https://. ${mend}`],
    ['ftp://host', `"ftp://host" does not begin with http:// or https://. ${mend}`],
    ['http://', `"http://" is not a URL. ${mend}`],
    ['http://host:99999', `"http://host:99999" is not a URL. ${mend}`],
    ['http://host/?a=b', '"http://host/?***" has a query. Take it away: each request brings its own.'],
    ['http://host/#part', '"http://host/#***" has a fragment. Take it away: it is never sent.'],
    [8000, `8000 is not a URL. ${mend}`],
  ])('refuses %j', (text, sentence) => {
    expect(read(values.upstream, text)).toBe(sentence)
  })

  it.each([
    'https://user:hunter2-secret@host/',
    'https://hunter2-secret@host',
    'user:hunter2-secret@host',
    'hunter2-secret:@host',
    'https://us@er:hunter2-secret@host',
    'https://host/?key=hunter2-secret',
    'host?key=hunter2-secret',
    'sk-hunter2-secret',
    'sk-ant-api03-hunter2-secret',
    'AIzahunter2-secret',
    'hunter2-secretabcdefghijklmnop1234567890',
  ])('does not repeat the credential in %j', (text) => {
    expect(read(values.upstream, text)).toEqual(expect.stringContaining('***'))
    expect(read(values.upstream, text)).not.toContain('hunter2')
  })
})

describe('a duration', () => {
  it.each([
    [0, 0],
    [10_000, 10_000],
    ['10000', 10_000],
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['15 m', 900_000],
    ['2h', 7_200_000],
  ])('reads %j as %d ms', (text, ms) => {
    expect(read(values.duration, text)).toBe(ms)
  })

  const mend = 'Write milliseconds (10000) or a number with ms, s, m or h (30s); 0 means without limit.'
  it.each([
    ['fast', `"fast" is not a duration. ${mend}`],
    [-1, `-1 is not a duration. ${mend}`],
    [0.5, `0.5 is not a duration. ${mend}`],
    ['30d', `"30d" is not a duration. ${mend}`],
    ['600h', `"600h" is longer than 24 days. ${mend}`],
    [true, `true is not a duration. ${mend}`],
    [Number.NaN, `NaN is not a duration. ${mend}`],
  ])('refuses %j', (text, sentence) => {
    expect(read(values.duration, text)).toBe(sentence)
  })
})

describe('a size', () => {
  const size = values.size(1024, 2 ** 30)
  it.each([
    [4096, 4096],
    ['64KiB', 65_536],
    ['16 MiB', 16_777_216],
    ['1gib', 2 ** 30],
    ['2MB', 2_000_000],
    ['1.5MiB', 1_572_864],
  ])('reads %j as %d bytes', (text, bytes) => {
    expect(read(size, text)).toBe(bytes)
  })

  const mend = 'Write bytes or a number with KiB, MiB or GiB, from 1KiB to 1GiB.'
  it.each([
    ['big', `"big" is not a size. ${mend}`],
    ['16M', `"16M" is not a size. ${mend}`],
    [10, `10 is out of bounds. ${mend}`],
    ['2GiB', `"2GiB" is out of bounds. ${mend}`],
  ])('refuses %j', (text, sentence) => {
    expect(read(size, text)).toBe(sentence)
  })
})

describe('the other values', () => {
  it('reads a choice, also where YAML made a number of it', () => {
    const semconv = values.choice('1.41', 'genai')
    expect([read(semconv, 'genai'), read(semconv, 1.41), read(semconv, '1.42')]).toEqual([
      'genai',
      '1.41',
      '"1.42" is not one of the choices. Write 1.41 or genai.',
    ])
  })

  it('reads a path of a file on disk only', () => {
    expect(['./a.db', '', ':memory:', 7].map((value) => read(values.path, value))).toEqual([
      './a.db',
      'an empty value is not a path. Write the path of a file, such as ./tokenweir.db',
      '":memory:" is not a file on disk. Write a path, such as ./tokenweir.db',
      '7 is not a path. Write the path of a file, such as ./tokenweir.db',
    ])
  })

  it('reads a prefix and takes the slash off its end', () => {
    expect(['/', '/openai', '/a/b/', '/deployments/gpt-4o:x@1'].map((value) => read(values.prefix, value))).toEqual([
      '/',
      '/openai',
      '/a/b',
      '/deployments/gpt-4o:x@1',
    ])
  })

  it.each(['openai', '', '//a', '/a//b', '/a/../b', '/a b', '/a?b', '/ä', '/.', 5])('refuses the prefix %j', (value) => {
    expect(read(values.prefix, value)).toMatch(/is no path prefix|does not begin with '\/'/)
  })

  it('reads what the upstream sees as Host', () => {
    expect(['upstream', 'client', 'api.example.com:8443', '[::1]:80', 'a b', 3].map((value) => read(values.hostHeader, value))).toEqual([
      'upstream',
      'client',
      { literal: 'api.example.com:8443' },
      { literal: '[::1]:80' },
      '"a b" is no Host header. Write upstream (the upstream\'s host), client (what the client sent), or a host such as api.example.com:8443.',
      "3 is no Host header. Write upstream (the upstream's host), client (what the client sent), or a host such as api.example.com:8443.",
    ])
  })

  it('reads names, whole numbers and truth', () => {
    const refusal = 'Write up to 64 letters, digits or . _ - / such as openai or aws.bedrock.'
    expect(['aws.bedrock', 'a b', 'x'.repeat(65)].map((value) => read(values.label, value))).toEqual([
      'aws.bedrock',
      `"a b" is no name. ${refusal}`,
      `"${'x'.repeat(65)}" is no name. ${refusal}`,
    ])
    expect([1, 0, '1'].map((value) => read(values.integer(1, 5), value))).toEqual([
      1,
      '0 is not a number within bounds. Write a whole number from 1 to 5.',
      '"1" is not a number within bounds. Write a whole number from 1 to 5.',
    ])
    expect([true, 'yes'].map((value) => read(values.flag, value))).toEqual([true, '"yes" is neither true nor false. Write true or false.'])
  })

  it('cuts a long value in a message', () => {
    expect(values.shown('a '.repeat(100))).toBe(`"${'a '.repeat(40)}…"`)
  })
})

describe('the nearest word', () => {
  it.each([
    ['upstrem', 'upstream'],
    ['usptream', 'upstream'],
    ['Listen', 'listen'],
    ['strip_prefix', 'stripPrefix'],
    ['connect', 'connectMs'],
    ['adnin', 'admin'],
    ['apiKey', undefined],
    ['x', undefined],
  ])('is found for %j', (word, meant) => {
    expect(values.nearest(word, ['upstream', 'listen', 'admin', 'stripPrefix', 'connectMs'])).toBe(meant)
  })
})

describe('a token of the admin port', () => {
  it('is 16 to 256 printable characters', () => {
    expect(read(values.secret, 'a-token/of+32=characters.0123456')).toBe('a-token/of+32=characters.0123456')
  })

  it.each(['short', 'with a space in its middle', 'ümlaut-ümlaut-ümlaut', 'x'.repeat(257), 1234567890123456, ''])(
    '%j is refused, and not quoted',
    (text) => {
      const message = read(values.secret, text)
      expect(message).toContain('Write 16 to 256 letters, digits and signs without spaces')
      if (text !== '') expect(message).not.toContain(String(text))
    },
  )
})

describe('an address of traces', () => {
  it.each(['http://127.0.0.1:16686/trace/{traceId}', 'https://grafana.example/explore?left={"query":"{traceId}"}'])('%s is one', (text) => {
    expect(read(values.traceUrl, text)).toBe(text)
  })

  it.each(['http://127.0.0.1:16686/trace/', 'javascript:alert({traceId})', '{traceId}', 'http://user:password@h/{traceId}', 7])(
    '%j is none',
    (value) => {
      expect(read(values.traceUrl, value)).toContain('is no address of traces. Write one with {traceId} in it')
    },
  )
})
