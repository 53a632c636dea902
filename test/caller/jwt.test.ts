import * as jose from 'jose'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import type { CallerSource } from '../../src/config/config.ts'
import { Cell, cellCount } from '../../src/lib/shared-counters.ts'
import { createCallers } from '../../src/proxy/caller/callers.ts'
import { bearerToken, createTokenReader } from '../../src/proxy/caller/jwt.ts'

type Pair = Awaited<ReturnType<typeof generateKeyPair>>
let ours: Pair
let theirs: Pair
let source: CallerSource & { readonly kind: 'jwt' }

beforeAll(async () => {
  ours = await generateKeyPair('ES256', { extractable: true })
  theirs = await generateKeyPair('ES256', { extractable: true })
  const key = { ...(await exportJWK(ours.publicKey)), kty: 'EC', kid: 'ours' }
  source = { kind: 'jwt', claim: 'sub', jwks: { keys: [key] }, issuer: 'https://issuer.example', audience: 'gateway' }
})

interface Told {
  readonly by?: Pair['privateKey']
  readonly claims?: Record<string, unknown>
  readonly header?: Record<string, unknown>
  readonly issuer?: string
  readonly audience?: string
  readonly ends?: number | string
}

function token({ by = ours.privateKey, claims = { sub: 'alice' }, header, issuer, audience, ends = '5m' }: Told = {}): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', kid: 'ours', ...header })
    .setIssuer(issuer ?? 'https://issuer.example')
    .setAudience(audience ?? 'gateway')
    .setExpirationTime(ends)
    .sign(by)
}

const unsigned = (claims: object) => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'none' })}.${part(claims)}.x`
}

describe('a token', () => {
  it('that verifies gives its claim', async () => {
    expect(await createTokenReader(source, jose, Date.now).verify(await token())).toMatchObject({ caller: 'alice' })
  })

  it('is verified by a single key without an id, whatever id it gives', async () => {
    const pem = await exportSPKI(ours.publicKey)
    expect(pem).toContain('BEGIN PUBLIC KEY')
    const { kid: _, ...key } = source.jwks.keys[0] as { kid: string; kty: string }
    expect(await createTokenReader({ ...source, jwks: { keys: [key] } }, jose, Date.now).verify(await token())).toMatchObject({
      caller: 'alice',
    })
  })

  it.each([
    ['signed by another', () => token({ by: theirs.privateKey })],
    ['of another issuer', () => token({ issuer: 'https://evil.example' })],
    ['for another audience', () => token({ audience: 'other' })],
    ['that has ended', () => token({ ends: Math.floor(Date.now() / 1000) - 60 })],
    ['of an unknown key', () => token({ header: { kid: 'theirs' } })],
    ['without the claim', () => token({ claims: {} })],
    ['with a claim that is no name', () => token({ claims: { sub: { a: 1 } } as never })],
    ['with a claim that looks like a key\u2019s name', () => token({ claims: { sub: 'key:0123456789' } })],
    ['that is not signed', async () => unsigned({ sub: 'alice', iss: 'https://issuer.example', aud: 'gateway' })],
    [
      'signed with the public key as a secret',
      async () => {
        const secret = new TextEncoder().encode(await exportSPKI(ours.publicKey))
        return new SignJWT({ sub: 'alice' })
          .setProtectedHeader({ alg: 'HS256' })
          .setIssuer('https://issuer.example')
          .setAudience('gateway')
          .sign(secret)
      },
    ],
    [
      'that was altered',
      async () => {
        const [head, , signature] = (await token()).split('.')
        return `${head}.${Buffer.from('{"sub":"bob","iss":"https://issuer.example","aud":"gateway"}').toString('base64url')}.${signature}`
      },
    ],
    ['that is none', async () => 'a.b.c'],
  ])('%s gives nothing', async (_title, make) => {
    expect(await createTokenReader(source, jose, Date.now).verify(await make())).toMatchObject({ caller: undefined })
  })

  it('is known after the first time, until it ends', async () => {
    let time = Date.now()
    const reader = createTokenReader(source, jose, () => time)
    const sent = await token({ ends: Math.floor(time / 1000) + 100 })
    const before = reader.known(sent)
    await reader.verify(sent)
    const after = reader.known(sent)?.caller
    time += 101_000
    expect([before, after, reader.known(sent)]).toEqual([undefined, 'alice', undefined])
  })

  it('of an unknown key is tried again after ten seconds, when keys may have been rotated; another after thirty', async () => {
    let time = Date.now()
    const reader = createTokenReader(source, jose, () => time)
    const sent = [await token({ header: { kid: 'theirs' } }), await token({ by: theirs.privateKey })]
    await Promise.all(sent.map((one) => reader.verify(one)))
    const isDoubted = () => sent.map((one) => reader.known(one) !== undefined)
    const doubted = [isDoubted()]
    for (const ms of [9999, 2, 19_997, 3]) {
      time += ms
      doubted.push(isDoubted())
    }
    expect(doubted).toEqual([
      [true, true],
      [true, true],
      [false, true],
      [false, true],
      [false, false],
    ])
  })

  it('is no longer believed after five minutes', async () => {
    let time = Date.now()
    const reader = createTokenReader(source, jose, () => time)
    const sent = await token({ ends: '1h' })
    await reader.verify(sent)
    time += 299_000
    const believed = reader.known(sent)?.caller
    time += 2000
    expect([believed, reader.known(sent)]).toEqual(['alice', undefined])
  })

  it.each([
    ['Bearer a.b.c', 'a.b.c'],
    ['bearer  a.b.c ', 'a.b.c'],
    ['Bearer sk-123', undefined],
    ['Basic a.b.c', undefined],
    [`Bearer a.${'b'.repeat(9000)}.c`, undefined],
    [undefined, undefined],
  ])('is in %j', (authorization, found) => {
    expect(bearerToken({ authorization })).toBe(found)
  })
})

describe('the sources together', () => {
  const start = async (sources: readonly CallerSource[]) => {
    const cells = new Int32Array(new SharedArrayBuffer(cellCount * 4))
    const callers = await createCallers({ sources, ledger: 'not used', cells, report: () => undefined })
    if (callers === undefined) throw new Error('not expected')
    const later = (authorization: string, more: object = {}) =>
      new Promise<string | undefined>((resolve) => {
        callers.later?.({ authorization, ...more }, (caller) => resolve(caller))
      })
    return { callers, later, cells }
  }

  it('give a token\u2019s caller later, and at once the next time', async () => {
    const { callers, later } = await start([source, { kind: 'header', name: 'x-user-id' }])
    const authorization = `Bearer ${await token()}`
    const headers = { authorization, 'x-user-id': 'header' }
    const first = callers.now(headers, '')
    expect([first, await later(authorization, { 'x-user-id': 'header' }), callers.now(headers, '')]).toEqual(['header', 'alice', 'alice'])
  })

  it('do not ask a token below a header that is there', async () => {
    const { callers, later } = await start([{ kind: 'header', name: 'x-user-id' }, source])
    const [authorization, other] = [`Bearer ${await token()}`, `Bearer ${await token({ claims: { sub: 'bob' } })}`]
    const headers = { authorization, 'x-user-id': 'header' }
    const found: (string | undefined)[] = []
    callers.later?.(headers, (caller) => found.push(caller))
    const asked = await later(other)
    // What came after it is known; of this one neither this request nor a later one has heard.
    expect([callers.now(headers, ''), found, asked, callers.now({ authorization }, '')]).toEqual(['header', [], 'bob', undefined])
  })

  it('count a token that does not verify, and go on to the next source', async () => {
    const { callers, cells } = await start([source, { kind: 'header', name: 'x-user-id' }])
    const authorization = `Bearer ${await token({ by: theirs.privateKey })}`
    const headers = { authorization, 'x-user-id': 'header' }
    const found: (string | undefined)[] = []
    callers.later?.({ authorization }, (caller) => found.push(caller))
    await expect.poll(() => cells[Cell.callersUnverified]).toBe(1)
    expect([callers.now(headers, ''), found]).toEqual(['header', []])
  })

  it('verify no more than 256 tokens at a time', async () => {
    const { callers, cells } = await start([source])
    const tokens = await Promise.all(Array.from({ length: 300 }, (_, index) => token({ claims: { sub: `user-${index}` } })))
    let found = 0
    for (const sent of tokens) callers.later?.({ authorization: `Bearer ${sent}` }, () => found++)
    await expect.poll(() => found).toBe(256)
    expect(cells[Cell.callersUnread]).toBe(44)
  })

  it('are none when none is configured', async () => {
    expect(
      await createCallers({ sources: [], ledger: 'not used', cells: new Int32Array(cellCount), report: () => undefined }),
    ).toBeUndefined()
  })
})
