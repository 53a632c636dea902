/** Token keys that are fetched, while their server rotates them, is away, or answers garbage. */
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import * as jose from 'jose'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { CallerSource } from '../../src/config/config.ts'
import { createTokenReader } from '../../src/proxy/caller/jwt.ts'
import { createRemoteKeys } from '../../src/proxy/caller/remote-keys.ts'

async function signer(kid: string) {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const sign = (sub: string) => new SignJWT({ sub }).setProtectedHeader({ alg: 'ES256', kid }).setExpirationTime('5m').sign(privateKey)
  return { sign, jwk: { ...(await exportJWK(publicKey)), kid } }
}

/** Answers as told; a port that was used before can be asked for. */
async function startKeyServer(answer: (response: http.ServerResponse) => void, port = 0) {
  const state = { answer, asked: 0 }
  const server = http.createServer((_request, response) => {
    state.asked++
    state.answer(response)
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  onTestFinished(stop)
  const bound = (server.address() as AddressInfo).port
  return { state, stop, port: bound, url: `http://127.0.0.1:${bound}/keys?tenant=a` }
}

const keySet =
  (...keys: object[]) =>
  (response: http.ServerResponse) =>
    void response.end(JSON.stringify({ keys }))

/** A reader that asks again at once, and whose memory of tokens is of no use: each verification is a new one. */
function readerAt(url: string, times = {}) {
  const said: string[] = []
  const source = { kind: 'jwt', claim: 'sub', jwks: { url, keys: [] } } as const satisfies CallerSource
  const keyOf = createRemoteKeys({
    ...{ url, proxy: undefined, jose },
    report: (line) => said.push(line.replaceAll(/:\d{4,5}/g, ':PORT')),
    times: { fetchMs: 5000, retryMs: 0, cooldownMs: 0, ...times },
  })
  const reader = createTokenReader(source, jose, Date.now, [], keyOf)
  return { said, keyOf, callerOf: async (token: string) => (await reader.verify(token)).caller }
}

const told = (why: string, effect = 'Until they can, its tokens name nobody.') =>
  `The token keys at http://127.0.0.1:PORT/keys cannot be fetched (${why}). ${effect}`

describe('token keys at a URL', () => {
  it('are rotated under traffic: old and new tokens both verify, and the withdrawn key no longer', async () => {
    const [old, young] = [await signer('old'), await signer('young')]
    const server = await startKeyServer(keySet(old.jwk))
    const { callerOf, keyOf, said } = readerAt(server.url)
    const ask = (by: typeof old, name: string) =>
      Promise.all(Array.from({ length: 20 }, async (_, at) => callerOf(await by.sign(`${name}${at}`))))
    const names = (name: string) => Array.from({ length: 20 }, (_, at) => `${name}${at}`)
    expect(await ask(old, 'a')).toEqual(names('a'))
    expect(server.state.asked).toBe(1)
    server.state.answer = keySet(old.jwk, young.jwk)
    expect(await Promise.all([ask(old, 'b'), ask(young, 'c')])).toEqual([names('b'), names('c')])
    server.state.answer = keySet(young.jwk)
    await keyOf.reload()
    expect(await Promise.all([callerOf(await old.sign('d')), callerOf(await young.sign('e'))])).toEqual([undefined, 'e'])
    expect(said).toEqual([])
  })

  it('are not asked for again by tokens of unknown keys, until the cooldown is over', async () => {
    const [known, forger] = [await signer('known'), await signer('forged')]
    const server = await startKeyServer(keySet(known.jwk))
    const { callerOf } = readerAt(server.url, { cooldownMs: 600_000 })
    expect(await callerOf(await known.sign('a'))).toBe('a')
    expect(await Promise.all(Array.from({ length: 50 }, async (_, at) => callerOf(await forger.sign(`${at}`))))).toEqual(
      Array(50).fill(undefined),
    )
    expect(server.state.asked).toBe(1)
  })

  it('name callers as soon as their server is there, and say once that it was away', async () => {
    const one = await signer('one')
    const away = await startKeyServer(keySet(one.jwk))
    await away.stop()
    const { callerOf, said } = readerAt(away.url)
    expect([await callerOf(await one.sign('a')), await callerOf(await one.sign('b'))]).toEqual([undefined, undefined])
    expect(said).toEqual([told('ECONNREFUSED')])
    const back = await startKeyServer(keySet(one.jwk), away.port)
    expect(await callerOf(await one.sign('c'))).toBe('c')
    expect([said.length, back.state.asked]).toEqual([1, 1])
  })

  it.each([
    ['no JSON', (response: http.ServerResponse) => void response.end('<html>'), 'its answer is no JSON Web Key Set'],
    ['another JSON', (response: http.ServerResponse) => void response.end('{"keys": "none"}'), 'its answer is no JSON Web Key Set'],
    ['no key', keySet(), 'its answer is no JSON Web Key Set'],
    ['an error', (response: http.ServerResponse) => void response.writeHead(503).end('{"keys": [{"kty": "EC"}]}'), 'it answered 503'],
    ['a way elsewhere', (response: http.ServerResponse) => void response.writeHead(302, { location: '/other' }).end(), 'it answered 302'],
    ['too much', (response: http.ServerResponse) => void response.end(' '.repeat(2 ** 21)), 'UND_ERR_RES_EXCEEDED_MAX_SIZE'],
    ['nothing', () => undefined, 'The operation was aborted due to timeout'],
  ])('stay as they were where the server answers %s; that is said once per episode', async (_title, garbage, why) => {
    const one = await signer('one')
    const server = await startKeyServer(keySet(one.jwk))
    const { callerOf, keyOf, said } = readerAt(server.url, { fetchMs: 300 })
    await expect.poll(async () => callerOf(await one.sign('a')), { timeout: 20_000 }).toBe('a')
    const before = said.length // a slow machine: even the good answer may have come too late at first
    server.state.answer = garbage
    await keyOf.reload()
    await keyOf.reload()
    expect(await callerOf(await one.sign('b'))).toBe('b')
    expect(said.slice(before)).toEqual([told(why, 'The keys of before stay in effect.')])
    server.state.answer = keySet(one.jwk)
    const { asked } = server.state
    await expect.poll(async () => (await keyOf.reload()) ?? server.state.asked - asked, { timeout: 20_000 }).toBeGreaterThan(3)
    server.state.answer = garbage
    await keyOf.reload()
    expect(said.length).toBeGreaterThan(before + 1)
  })

  it('that never came name nobody, whatever is answered in their place, and are asked for no more often than the limit', async () => {
    const one = await signer('one')
    const server = await startKeyServer((response) => void response.end('{"keys": 1}'))
    const { callerOf, said } = readerAt(server.url, { retryMs: 600_000 })
    for (const name of ['a', 'b', 'c']) expect(await callerOf(await one.sign(name))).toBeUndefined()
    expect([said, server.state.asked]).toEqual([[told('its answer is no JSON Web Key Set')], 1])
  })

  it('come through a forward proxy, where there is one', async () => {
    const connected: (string | undefined)[] = []
    const proxy = http.createServer().on('connect', (request, socket) => {
      connected.push(request.url)
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    })
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void proxy.close())
    const said: string[] = []
    const origin = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    const keys = createRemoteKeys({
      ...{ url: 'https://issuer.invalid/jwks.json', jose, report: (line) => said.push(line) },
      proxy: { origin, authorization: undefined },
    })
    await expect(keys.reload()).rejects.toThrow()
    expect([connected[0], said]).toEqual([
      'issuer.invalid:443',
      [expect.stringMatching(/^The token keys at https:\/\/issuer\.invalid\/jwks\.json /)],
    ])
  })
})
