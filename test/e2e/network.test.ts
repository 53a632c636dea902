/** The running product over TLS and HTTP/2, with real clients. Those that are no part of Node are in test/conformance. */

import http from 'node:http'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { Agent, fetch as undiciFetch } from 'undici'
import { describe, expect, it, onTestFinished } from 'vitest'
import { certificate } from '../proxy/certificate.ts'
import { client, renewed } from '../proxy/certificates.ts'
import { ownRecordings, type Recording } from '../recordings/recording.ts'
import type { LedgerRow } from './product.ts'
import { startBeforeSample, startSecureProduct } from './secure.ts'

const trusted = { ca: [certificate.cert, renewed.cert], servername: 'weir.test' }

/** `fetch` over HTTP/1.1 or HTTP/2, as a program uses it that trusts the certificate. */
function fetchOver(allowH2: boolean, connect: object = {}): typeof fetch {
  const dispatcher = new Agent({ allowH2, connect: { ...trusted, ...connect } })
  onTestFinished(() => dispatcher.destroy())
  return ((url: string, options: object) => undiciFetch(url, { ...options, dispatcher })) as unknown as typeof fetch
}

const messages = [{ role: 'user' as const, content: 'How much water went through the gate?' }]

describe('the clients of OpenAI and Anthropic', () => {
  it.each([
    ['TLS 1.2', false, { maxVersion: 'TLSv1.2' }],
    ['TLS 1.3', false, {}],
    ['HTTP/2', true, {}],
  ])('are recorded over %s', async (_, allowH2, connect) => {
    const product = await startBeforeSample()
    const options = { apiKey: 'test', maxRetries: 0, fetch: fetchOver(allowH2, connect) }
    const stream = await new OpenAI({ ...options, baseURL: `${product.url}/v1` }).chat.completions.create({
      ...{ model: 'gpt-4o', messages, stream: true, stream_options: { include_usage: true } },
    })
    let usage: OpenAI.CompletionUsage | null | undefined
    for await (const chunk of stream) usage = chunk.usage ?? usage
    const message = await new Anthropic({ ...options, baseURL: product.url }).messages
      .stream({ model: 'claude-sonnet-5', max_tokens: 100, messages })
      .finalMessage()
    const rows = await product.closedRows(2)
    expect(rows.map((row) => [row['status'], row['end_reason'], row['output_tokens']])).toEqual([
      [200, 'completed', usage?.completion_tokens],
      [200, 'completed', message.usage.output_tokens],
    ])
    expect(await product.stop()).toBe(0)
  })

  it('are named by their certificates, and refused without one', async () => {
    const product = await startBeforeSample('clientCa: CA', 'caller: client-cert:uri')
    const ask = (connect: object) =>
      new OpenAI({ apiKey: 'test', maxRetries: 0, fetch: fetchOver(true, connect), baseURL: `${product.url}/v1` }).chat.completions.create({
        ...{ model: 'gpt-4o', messages },
      })
    await ask(client)
    await expect(ask({})).rejects.toThrow('Connection error')
    expect((await product.closedRows(1)).map((row) => row['caller'])).toEqual(['spiffe://weir.test/ns/ml/sa/batch'])
  })
})

const recordings = ownRecordings()
const piecesOf = ({ body }: Recording) => [body.subarray(0, body.length >> 1), body.subarray(body.length >> 1)]

/** Answers with the recording that `x-recording` names, in two pieces. */
async function startReplay(): Promise<{ readonly url: string; takeBodies(): readonly string[] }> {
  let bodies: string[] = []
  const server = http.createServer((request, response) => {
    const recording = recordings[Number(request.headers['x-recording'])] as Recording
    let body = ''
    request.setEncoding('latin1').on('data', (part) => void (body += part))
    request.on('end', () => {
      bodies.push(body)
      response.writeHead(recording.status, recording.responseHeaders)
      for (const piece of piecesOf(recording)) response.write(piece)
      response.end()
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => void server.close())
  const takeBodies = () => {
    const taken = bodies
    bodies = []
    return taken
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, takeBodies }
}

/** What differs from one request to the next. */
const own = /^(id|trace_id|span_id|parent_span_id|.*_at|.*_ms|.*_seconds|.*_id|instance|started.*|ended.*)$/

/** Whether an upstream is tried out depends on what was asked before. */
const withoutProbe = ([name, value]: readonly [string, unknown]) => [name, value === '["usage_probe"]' ? null : value]

describe('every recorded answer', () => {
  it.each(['inject', 'observe'])(
    'leaves over TLS and HTTP/2 the row that it leaves over HTTP/1.1, and the same bytes with client and upstream: %s',
    async (capture) => {
      const upstream = await startReplay()
      const product = await startSecureProduct(upstream.url, '', `capture: ${capture}`)
      onTestFinished(async () => void (await product.stop()))
      async function replay(url: string, fetch: typeof globalThis.fetch, hasLength = true) {
        const before = (await product.closedRows(0)).length
        const bodies: string[] = []
        for (const [index, { path, method, requestHeaders, requestBody }] of recordings.entries()) {
          const sent = hasLength ? requestBody : new Blob([requestBody]).stream()
          const body = method === 'GET' ? {} : { body: sent, duplex: 'half' as const }
          const response = await fetch(url + path, { method, headers: { ...requestHeaders, 'x-recording': String(index) }, ...body })
          bodies.push(Buffer.from(await response.arrayBuffer()).toString('latin1'))
        }
        const rows = (await product.closedRows(before + recordings.length)).slice(before)
        const shared = rows.map((row) => Object.entries(row).filter(([name]) => !own.test(name)))
        return {
          bodies,
          asked: upstream.takeBodies(),
          rows: shared.map((columns) => Object.fromEntries(columns.map(withoutProbe)) as LedgerRow),
        }
      }
      const plain = await replay(product.plainUrl, fetchOver(false))
      expect(plain.bodies).toEqual(recordings.map(({ body }) => body.toString('latin1')))
      const given = recordings.map(({ method, requestBody }) => (method === 'GET' ? '' : requestBody.toString('latin1')))
      if (capture === 'observe') expect(plain.asked).toEqual(given)
      const overTls = await replay(product.url, fetchOver(false))
      const overHttp2 = await replay(product.url, fetchOver(true))
      expect(plain.rows.filter((row) => row['usage_outcome'] === 'reported').length).toBeGreaterThan(recordings.length / 2)
      expect(overTls).toEqual(plain)
      expect(overHttp2).toEqual(plain)
      expect(await replay(product.url, fetchOver(true), false)).toEqual(plain)
    },
  )
})

describe('certificates that are replaced under load', () => {
  it('cost no request', async () => {
    const product = await startBeforeSample()
    const failures: string[] = []
    let isOver = false
    let requests = 0
    /** Each a client of its own, which opens connections again and again. */
    async function client(allowH2: boolean): Promise<void> {
      while (!isOver) {
        const dispatcher = new Agent({ allowH2, connect: { rejectUnauthorized: false } })
        for (let i = 0; i < 5 && !isOver; i++) {
          const body = JSON.stringify({ model: 'gpt-4o', stream: true, stream_options: { include_usage: true }, messages })
          const headers = { 'content-type': 'application/json', authorization: 'Bearer test' }
          await undiciFetch(`${product.url}/v1/chat/completions`, { method: 'POST', headers, body, dispatcher }).then(
            async (response) => {
              if (!(await response.text()).includes('[DONE]')) failures.push('cut')
              requests++
            },
            (error: Error) => failures.push(String(error.cause ?? error)),
          )
        }
        await dispatcher.close()
      }
    }
    const clients = [client(true), client(false), client(true), client(false)]
    for (let round = 1; round <= 3; round++) {
      const pair = round % 2 === 1 ? renewed : certificate
      product.put('tls.crt', pair.cert)
      await setTimeout(200) // as files that are written one by one
      product.put('tls.key', pair.key)
      const said = () => product.stderr().split('New certificates are in use').length - 1
      await expect.poll(said, { timeout: 60_000 }).toBe(round)
    }
    isOver = true
    await Promise.all(clients)
    expect(failures).toEqual([])
    const session = http2.connect(product.url, { rejectUnauthorized: false })
    const subject = await new Promise((resolve) =>
      session.once('connect', (_, socket) =>
        resolve('getPeerCertificate' in socket && (socket as import('node:tls').TLSSocket).getPeerCertificate().subject.CN),
      ),
    )
    session.close()
    expect(subject).toBe('renewed.weir.test')
    const rows = await product.closedRows(requests)
    expect([rows.length, rows.every((row) => row['end_reason'] === 'completed')]).toEqual([requests, true])
    expect(requests).toBeGreaterThan(20)
    expect(await product.stop()).toBe(0)
  })
})
