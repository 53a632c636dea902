import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readSalt } from '../../src/lib/salt.ts'
import { createKeyNames } from '../../src/proxy/caller/api-key.ts'
import { callerName, headerReader } from '../../src/proxy/caller/header.ts'
import { createMemory } from '../../src/proxy/caller/memory.ts'

const salt = Buffer.alloc(32, 7)
/** HMAC-SHA256 of `sk-one` with that salt, its first ten digits: worked out with openssl. */
const one = 'key:593a2ec16b'

describe('the name of a key', () => {
  const nameOf = createKeyNames(salt)

  it.each([
    [{ authorization: 'Bearer sk-one' }],
    [{ authorization: 'bearer   sk-one ' }],
    [{ authorization: 'Token sk-one' }],
    [{ 'x-api-key': 'sk-one' }],
    [{ 'api-key': 'sk-one' }],
    [{ 'x-goog-api-key': 'sk-one' }],
    [{ authorization: 'Bearer sk-one', 'x-api-key': 'sk-two' }],
    [{ authorization: 'AWS4-HMAC-SHA256 Credential=AKIA/x', 'x-api-key': 'sk-one' }],
    [{ authorization: 'Bearer ', 'x-api-key': 'sk-one' }],
  ])('is the same wherever the key is: %j', (headers) => {
    expect([nameOf(headers, '/v1'), nameOf(headers, '/v1')]).toEqual([one, one])
  })

  it('is that of Gemini\u2019s query too', () => {
    expect(nameOf({}, '/v1beta/models/x:generateContent?alt=sse&key=sk-one')).toBe(one)
  })

  it.each([[{}], [{ authorization: 'AWS4-HMAC-SHA256 Credential=AKIA/x' }], [{ 'x-api-key': '' }], [{ cookie: 'a=b' }]])(
    'is not there for %j',
    (headers) => {
      expect(nameOf(headers, '/v1?monkey=1&x=y')).toBeUndefined()
    },
  )

  it('differs from key to key and from salt to salt, and shows nothing of the key', () => {
    const other = createKeyNames(Buffer.alloc(32, 8))
    const names = [nameOf({ 'x-api-key': 'sk-two' }, ''), other({ 'x-api-key': 'sk-one' }, ''), nameOf({ 'x-api-key': 'sk-one' }, '')]
    expect(new Set(names).size).toBe(3)
    expect(names.every((name) => /^key:[0-9a-f]{10}$/.test(name ?? ''))).toBe(true)
  })
})

describe('the table of names', () => {
  it('forgets what was not used lately, and keeps no long key', () => {
    const memory = createMemory<number>()
    for (let index = 0; index < 100_000; index++) {
      memory.set(`k${index}`, index)
      memory.get('k7')
    }
    memory.set('x'.repeat(5000), 1)
    const kept = Array.from({ length: 100_000 }, (_, index) => index).filter((index) => memory.get(`k${index}`) !== undefined)
    expect([memory.get('k7'), memory.get('k0'), memory.get('k99999'), memory.get('x'.repeat(5000))]).toEqual([
      7,
      undefined,
      99_999,
      undefined,
    ])
    expect(kept.length).toBeLessThanOrEqual(4096)
  })
})

describe('a header that names the caller', () => {
  it.each([
    [' alice ', 'alice'],
    ['', undefined],
    [undefined, undefined],
    ['key:0123456789', undefined],
    ['x'.repeat(200), 'x'.repeat(200)],
    ['x'.repeat(201), undefined],
  ])('%j gives %j', (value, caller) => {
    expect(headerReader('x-user-id')({ 'x-user-id': value })).toBe(caller)
  })

  it('has a name of one line', () => {
    expect([callerName('a\nb'), callerName(7), callerName({}), callerName(null)]).toEqual([undefined, '7', undefined, undefined])
  })
})

describe('the salt', () => {
  const folder = () => {
    const path = mkdtempSync(join(tmpdir(), 'tokenweir-salt-'))
    onTestFinished(() => rmSync(path, { recursive: true, force: true }))
    return path
  }

  it('is made once, for this user alone, and read again', () => {
    const path = join(folder(), 'new/ledger.db.salt')
    const made = readSalt(path)
    expect([made.length, statSync(path).mode & 0o777, readdirSync(join(path, '..'))]).toEqual([32, 0o600, ['ledger.db.salt']])
    expect(readSalt(path)).toEqual(made)
    expect(readSalt(join(folder(), 'other'))).not.toEqual(made)
  })

  it('that is no salt is left alone and told', () => {
    const path = join(folder(), 'ledger.db.salt')
    writeFileSync(path, 'hunter2')
    expect(() => readSalt(path)).toThrow(
      `The salt file ${path} cannot be used (it holds no salt; move it away, and a new one is made). Give this user access to it, or start with TOKENWEIR_CALLER=none: then callers are not told apart.`,
    )
    expect([existsSync(path), readFileSync(path, 'utf8')]).toEqual([true, 'hunter2'])
  })
})
