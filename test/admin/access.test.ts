/** Who is let in, by the request's headers alone; the same over sockets in page.test.ts. */
import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from 'vitest'
import { type Access, createAccess, refusalOf } from '../../src/admin/access.ts'

const token = 'a-token-of-32-characters-0123456'
const dayMs = 86_400_000

function requestOf(headers: Readonly<Record<string, string>> = {}, remoteAddress = '10.0.0.1', localPort = 4142): IncomingMessage {
  return { headers, socket: { remoteAddress, localPort } } as unknown as IncomingMessage
}

const bearer = (text: string) => requestOf({ authorization: text })
const cookieOf = (access: Access, request = bearer(`Bearer ${token}`)) => access.judge(request).session?.() ?? ''
const withCookie = (setCookie: string, port = 4142) => requestOf({ cookie: setCookie.split(';')[0] as string }, '10.0.0.1', port)

describe('a session', () => {
  it('ends seven days after it began, to the millisecond', () => {
    let now = 1_700_000_000_000
    const access = createAccess({ token, isLoopback: false, now: () => now })
    const session = withCookie(cookieOf(access))
    const seen = [0, 7 * dayMs - 1, 7 * dayMs, 8 * dayMs].map((passed) => {
      now = 1_700_000_000_000 + passed
      return access.judge(session).verdict
    })
    expect(seen).toEqual(['allowed', 'allowed', 'unknown', 'unknown'])
  })

  it('is good in another process that has the same token, and in none that has another', () => {
    const session = withCookie(cookieOf(createAccess({ token, isLoopback: false, now: () => 0 })))
    const judged = (other: string) => createAccess({ token: other, isLoopback: false, now: () => 0 }).judge(session).verdict
    expect([judged(token), judged(`${token}x`)]).toEqual(['allowed', 'unknown'])
  })

  it('cannot be lengthened, and is nothing in another form', () => {
    const access = createAccess({ token, isLoopback: false, now: () => 1000 })
    const [name = '', value = ''] = (cookieOf(access).split(';')[0] as string).split('=')
    const [until = '', signature = ''] = value.split('.')
    const forms = [
      `${Number(until) + 1}.${signature}`,
      `${until}.${signature.slice(1)}`,
      `${until}.${signature}x`,
      `x${until}.${signature}`,
      `.${signature}`,
      `${'9'.repeat(17)}.${signature}`,
      until,
      '',
    ]
    expect(forms.map((form) => access.judge(withCookie(`${name}=${form}`)).verdict)).toEqual(forms.map(() => 'unknown'))
    expect(access.judge(withCookie(`${name}=${value}`)).verdict).toBe('allowed')
  })

  it('is of one port, wherever it stands among the cookies', () => {
    const access = createAccess({ token, isLoopback: false, now: () => 0 })
    const cookie = cookieOf(access).split(';')[0] as string
    const judged = (text: string, port = 4142) => access.judge(requestOf({ cookie: text }, '10.0.0.1', port)).verdict
    expect([`a=b; ${cookie}`, `a=b;${cookie};c=d`, `x${cookie}`, 'a=b'].map((text) => judged(text))).toEqual([
      'allowed',
      'allowed',
      'unknown',
      'unknown',
    ])
    expect(judged(cookie, 4143)).toBe('unknown')
  })

  it('is kept from scripts and from plain HTTP behind HTTPS', () => {
    const access = createAccess({ token, isLoopback: false, now: () => 1000 })
    const rest = (headers: Record<string, string>) =>
      cookieOf(access, requestOf({ authorization: `Bearer ${token}`, ...headers })).replace(/=\d+\.[\w-]{43}/, '=…')
    expect(rest({})).toBe('tokenweir_4142=…; HttpOnly; SameSite=Lax; Path=/; Max-Age=604800')
    expect(rest({ 'x-forwarded-proto': 'https' })).toBe('tokenweir_4142=…; HttpOnly; SameSite=Lax; Path=/; Max-Age=604800; Secure')
    expect(cookieOf(access)).toContain(`=${1000 + 7 * dayMs}.`)
  })
})

describe('a token', () => {
  it('is read from Authorization in any spelling of Bearer, and from elsewhere when it is given', () => {
    const access = createAccess({ token, isLoopback: false, now: () => 0 })
    const forms = [
      `Bearer ${token}`,
      `bearer   ${token}  `,
      `xBearer ${token}`,
      `Bearer ${token} x`,
      `Basic ${token}`,
      `Bearer${token}`,
      token,
    ]
    expect(forms.map((text) => access.judge(bearer(text)).verdict)).toEqual(['allowed', 'allowed', ...Array(5).fill('unknown')])
    expect([access.judge(requestOf(), token).verdict, access.judge(bearer(`Bearer ${token}`), 'wrong').verdict]).toEqual([
      'allowed',
      'unknown',
    ])
    expect(access.judge(requestOf())).toEqual({ verdict: 'unknown' })
  })

  it('makes a session only where it is right', () => {
    const access = createAccess({ token, isLoopback: false, now: () => 0 })
    const session = withCookie(cookieOf(access))
    expect([access.judge(bearer('Bearer wrong')).session, access.judge(session).session]).toEqual([undefined, undefined])
  })

  it('is not looked at from an address that sent ten wrong ones; its sessions go on', () => {
    const access = createAccess({ token, isLoopback: false, now: () => 0 })
    const cookie = cookieOf(access).split(';')[0] as string
    for (let n = 0; n < 10; n++) access.judge(bearer('Bearer wrong'))
    expect(access.judge(bearer(`Bearer ${token}`))).toEqual({ verdict: 'limited' })
    expect(access.judge(requestOf({ authorization: 'Bearer wrong', cookie }))).toEqual({ verdict: 'allowed' })
    expect(access.judge(requestOf({ authorization: `Bearer ${token}` }, '10.0.0.2')).verdict).toBe('allowed')
  })
})

describe('without a token', () => {
  it.each([
    [true, 'allowed'],
    [false, 'no-token'],
  ])('on the loopback (%s) the verdict is %s', (isLoopback, verdict) => {
    const access = createAccess({ token: undefined, isLoopback, now: () => 0 })
    expect(access.judge(requestOf())).toEqual({ verdict })
  })

  it('no session is valid: nothing is signed with a token that is not there', () => {
    const signedWithNothing = cookieOf(createAccess({ token: '', isLoopback: false, now: () => 0 }), bearer('Bearer x'))
    expect(signedWithNothing).toBe('')
    expect(createAccess({ token: undefined, isLoopback: false, now: () => 0 }).judge(requestOf({}, '10.0.0.1'), 'x')).toEqual({
      verdict: 'no-token',
    })
  })
})

describe('a page elsewhere', () => {
  it.each([
    ['cross-site', 'no-cors', 'cross-site'],
    ['same-site', 'cors', 'cross-site'],
    ['cross-site', 'navigate', 'allowed'],
    ['same-origin', 'cors', 'allowed'],
    ['none', 'navigate', 'allowed'],
    ['not-cross-site', 'cors', 'allowed'],
    ['cross-site-not', 'cors', 'allowed'],
  ])('%s, %s is %s, with the right token too', (site, mode, verdict) => {
    const access = createAccess({ token, isLoopback: true, now: () => 0 })
    const headers = { 'sec-fetch-site': site, 'sec-fetch-mode': mode, authorization: `Bearer ${token}` }
    expect(access.judge(requestOf(headers)).verdict).toBe(verdict)
  })
})

it('each verdict but one is a refusal of its own', () => {
  const refusals = (['allowed', 'no-token', 'cross-site', 'limited', 'unknown'] as const).map((verdict) => {
    const refusal = refusalOf(verdict)
    return refusal && [refusal.status, refusal.headers?.['retry-after'], Object.keys(JSON.parse(String(refusal.body)))]
  })
  expect(refusals).toEqual([
    undefined,
    [403, undefined, ['error']],
    [403, undefined, ['error']],
    [429, '60', ['error']],
    [401, undefined, ['error']],
  ])
  expect(String(refusalOf('no-token')?.body)).toContain('TOKENWEIR_ADMIN_TOKEN')
  expect(String(refusalOf('cross-site')?.body)).toContain('only to the page itself')
})
