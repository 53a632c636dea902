import { mkdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { labels } from '../../src/config/labels.ts'
import { cloneableConfig } from '../../src/recorder/data.ts'
import { type MetricEntry, type MetricName, metrics, prometheusName } from '../../src/telemetry/catalog.ts'
import { freePort } from '../ports.ts'
import { endingOf, openingOf } from '../sinks/exchange-of.ts'
import { rows, waitingRows } from '../store/rows.ts'
import { plain, spansOf, startCollector } from '../telemetry/collector.ts'
import { configOf, startRecorder, temporaryLedger } from './harness.ts'

const id = (index: number) => `01993c5c-0000-7000-8000-${String(index).padStart(12, '0')}`

const requestText = JSON.stringify({ model: 'gpt-4o', messages: [] })
const responseText = JSON.stringify({
  id: 'chatcmpl-9',
  object: 'chat.completion',
  model: 'gpt-4o-2024-08-06',
  choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'x' } }],
  usage: { prompt_tokens: 20, completion_tokens: 7, total_tokens: 27 },
})
const whole = endingOf({ id: id(1), streamed: false, framing: 'whole', format: undefined, responseBytes: responseText.length })

describe('a recorded request', () => {
  it('is one row, one log line, one span and its metrics, with the usage of its body', async () => {
    const collector = await startCollector()
    const ledger = temporaryLedger()
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }
    const recorder = startRecorder(configOf({ ledger }), env)
    const { adminPort } = await recorder.next('listening')

    await recorder.record({ opened: [openingOf({ id: id(1) })] })
    expect(rows(ledger, 'SELECT id, end_reason FROM exchanges')).toEqual([{ id: id(1), end_reason: null }])
    await recorder.record({ requests: [{ id: id(1), body: [0, requestText.length] }], bytes: Buffer.from(requestText) })
    await recorder.record({ ended: [{ ending: whole, responseBody: [0, responseText.length] }], bytes: Buffer.from(responseText) })

    const facts = {
      request_model: 'gpt-4o',
      response_model: 'gpt-4o-2024-08-06',
      input_tokens: 20,
      output_tokens: 7,
      usage_outcome: 'reported',
    }
    expect(rows(ledger, `SELECT id, end_reason, ${Object.keys(facts).join(', ')} FROM exchanges`)).toEqual([
      { id: id(1), end_reason: 'completed', ...facts },
    ])
    const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
    expect(metrics).toMatch(/^gen_ai_client_token_usage_sum\{.*gen_ai_token_type="input"\} 20$/m)
    expect(metrics).toMatch(/^tokenweir_requests_total\{.*usage_outcome="reported",end_reason="completed"\} 1$/m)

    recorder.post({ kind: 'close', deadlineMs: 60_000 })
    await recorder.next('closed')
    await expect.poll(() => recorder.lines().length).toBe(1)
    expect(JSON.parse(recorder.lines()[0] as string)).toMatchObject({ msg: 'Request logged', exchange_id: id(1), ...facts })
    const [traces] = collector.json('/v1/traces')
    const [span] = traces.resourceSpans[0].scopeSpans[0].spans
    expect([span.traceId, span.spanId, span.name]).toEqual(['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331', 'chat gpt-4o'])
    expect(plain(span.attributes)).toMatchObject({
      'tokenweir.exchange.id': id(1),
      'gen_ai.usage.input_tokens': 20,
      'gen_ai.usage.output_tokens': 7,
    })
    expect(collector.json('/v1/metrics')).toHaveLength(1)
    expect(recorder.errors()).toBe('')
  })

  it('is priced by the public table from the first on', async () => {
    const ledger = temporaryLedger()
    const recorder = startRecorder(configOf({ ledger }))
    const response = { model: 'gpt-4o', usage: { inputTokens: 20, outputTokens: 7 }, finished: true }
    const ended = [1, 2].map((index) => ({ opening: openingOf({ id: id(index) }), ending: endingOf({ id: id(index), response }) }))
    await Promise.all(ended.map((one) => recorder.record({ ended: [one] })))
    expect(rows(ledger, 'SELECT id, cost FROM exchanges ORDER BY rowid')).toEqual([
      { id: id(1), cost: 0.00012 },
      { id: id(2), cost: 0.00012 },
    ])
  })

  it('is concluded by the settings that came before its end: estimates, labels, names, prices', async () => {
    const ledger = temporaryLedger()
    const recorder = startRecorder(configOf({ ledger }))
    const outputText = { beginning: 'hello world', characters: 11 }
    const record = (index: number, model?: string) => {
      const opening = openingOf({ id: id(index), caller: 'k1', requestHeaders: { 'x-team': 'search' } })
      const response = {
        model: model ?? 'made-up',
        finished: true,
        ...(model === undefined ? {} : { usage: { inputTokens: 1e6, outputTokens: 0 } }),
      }
      return recorder.record({ ended: [{ opening, ending: endingOf({ id: id(index), response, outputText }) }] })
    }
    await record(1)
    const next = configOf({
      ...{
        ledger,
        estimates: { enabled: true },
        callerNames: { k1: 'alice' },
        labels: labels({ team: { from: 'header:x-team', hash: true } }),
      },
      prices: [{ model: 'dear', input: 5, output: 5, free: false }],
    })
    recorder.post({ kind: 'settings', config: cloneableConfig(next) })
    expect(await recorder.next('applied')).toEqual({ kind: 'applied', files: [] })
    await record(2)
    await record(3, 'dear')
    recorder.post({ kind: 'settings', config: cloneableConfig(configOf({ ledger })) })
    await recorder.next('applied')
    await record(4)
    const hashed = expect.stringMatching(/^\{"team":"hash:[0-9a-f]{10}"\}$/)
    expect(rows(ledger, 'SELECT caller, labels, cost, estimated_output_tokens AS estimated FROM exchanges ORDER BY id')).toEqual([
      { caller: 'k1', labels: null, cost: null, estimated: null },
      { caller: 'alice', labels: hashed, cost: null, estimated: 2 },
      { caller: 'alice', labels: hashed, cost: 5, estimated: null },
      { caller: 'k1', labels: null, cost: null, estimated: null },
    ])
  })

  it('leaves no metric of the catalog unseen', async () => {
    const collector = await startCollector()
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }
    const budget = { name: 'all', where: {}, period: 'month', timeZone: 'UTC', usd: 5 } as const
    const recorder = startRecorder(
      configOf({ ledger: temporaryLedger(), labels: labels({ team: 'header:x-team' }), budgets: [budget] }),
      env,
    )
    const { adminPort } = await recorder.next('listening')
    const response = { model: 'gpt-4o', usage: { inputTokens: 3, outputTokens: 4, reasoningTokens: 5 }, finished: true }
    const requestHeaders = { 'x-team': 'sk-planted-secret' }
    const limit = { 'x-ratelimit-limit-tokens': '9', 'x-ratelimit-remaining-tokens': '8', 'x-ratelimit-reset-tokens': '1s' }
    const refused = { status: 429, responseHeaders: { 'retry-after': '1' } }
    const rare = { notes: ['usage_injected'], drained: { ms: 5, bytes: 6 } }
    const priced = { ...response, usage: { inputTokens: 3, outputTokens: 4 } }
    const cached = { ...priced, model: 'gpt-4o-2024-08-06', usage: { ...priced.usage, cacheReadTokens: 1 } }
    await recorder.record({
      ended: [
        { opening: openingOf({ id: id(1), caller: 'alice' }), ending: endingOf({ id: id(1), response, ...rare, responseHeaders: limit }) },
        { opening: openingOf({ id: id(2), requestHeaders }), ending: endingOf({ id: id(2), response: priced }) },
        { opening: openingOf({ id: id(3) }), ending: endingOf({ id: id(3), ...refused }) },
        { opening: openingOf({ id: id(4) }), ending: endingOf({ id: id(4), response: cached, firstToken: { ms: 60, of: 'answer' } }) },
      ],
    })
    const change = { upstream: 'gateway:80', lastSuccessAt: 1, failures: { reset: 1 }, connects: [1], probes: { success: 1 } } as const
    recorder.post({ kind: 'upstreams', changes: [change] })
    const names = Object.entries<MetricEntry>(metrics).filter(
      // A forecast is absent in the first twentieth of its period, which may be now.
      ([name, { generation }]) => generation !== 'genai' && name !== 'tokenweir.budget.forecast',
    )
    const missing = async () => {
      const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
      return names.map(([name]) => prometheusName(name as MetricName)).filter((name) => !text.includes(`\n# TYPE ${name} `))
    }
    await expect.poll(missing).toEqual([])
  })

  it('that was streamed is logged as such', async () => {
    const recorder = startRecorder(configOf({ ledger: temporaryLedger() }))
    await recorder.next('ready')
    const response = { id: 'chatcmpl-1', model: 'gpt-4o', usage: { inputTokens: 3, outputTokens: 4 }, finished: true }
    await recorder.record({ ended: [{ opening: openingOf({ id: id(1) }), ending: endingOf({ id: id(1), response }) }] })
    await expect.poll(() => recorder.lines().length).toBe(1)
    expect(JSON.parse(recorder.lines()[0] as string)).toMatchObject({ msg: 'Streaming request logged', input_tokens: 3, output_tokens: 4 })
  })
})

describe('a batch that comes a second time', () => {
  it('is recorded once, and what was not recorded is', async () => {
    const ledger = temporaryLedger()
    const recorder = startRecorder(configOf({ ledger }))
    const { adminPort } = await recorder.next('listening')
    const one = (index: number) => ({ opening: openingOf({ id: id(index) }), ending: endingOf({ id: id(index) }) })
    await recorder.record({ ended: [one(1)] })
    const batch = { opened: [openingOf({ id: id(1) })], requests: [], ended: [one(1), one(2)], bytes: new Uint8Array(0) }
    recorder.post({ kind: 'batch', batch, resent: true })
    await recorder.next('recorded')
    expect(rows(ledger, 'SELECT id, end_reason FROM exchanges ORDER BY id')).toEqual([
      { id: id(1), end_reason: 'completed' },
      { id: id(2), end_reason: 'completed' },
    ])
    expect(await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()).toMatch(/^tokenweir_requests_total\{.*\} 2$/m)
  })

  it('does not open again what is closed', async () => {
    const ledger = temporaryLedger()
    const recorder = startRecorder(configOf({ ledger }))
    await recorder.next('ready')
    await recorder.record({ ended: [{ opening: openingOf({ id: id(1) }), ending: endingOf({ id: id(1) }) }] })
    const batch = { opened: [openingOf({ id: id(1) })], requests: [], ended: [], bytes: new Uint8Array(0) }
    recorder.post({ kind: 'batch', batch, resent: true })
    await recorder.next('recorded')
    expect(rows(ledger, 'SELECT id, end_reason FROM exchanges')).toEqual([{ id: id(1), end_reason: 'completed' }])
  })
})

describe('a recorder that is killed', () => {
  it('leaves a row that the next one closes as sidecar-stopped', async () => {
    const ledger = temporaryLedger()
    const first = startRecorder(configOf({ ledger }))
    await first.next('ready')
    await first.record({ opened: [openingOf({ id: id(1) })] })
    const gone = new Promise((resolve) => first.child.once('exit', resolve))
    first.child.kill('SIGKILL')
    await gone
    expect(rows(ledger, 'SELECT id, end_reason FROM exchanges')).toEqual([{ id: id(1), end_reason: null }])

    const second = startRecorder(configOf({ ledger }))
    await second.next('ready')
    expect(rows(ledger, 'SELECT id, end_reason, ended_at FROM exchanges')).toEqual([
      { id: id(1), end_reason: 'sidecar-stopped', ended_at: null },
    ])
  })
})

describe('a recorder that is closed', () => {
  it('does not wait for a collector that is away, and has everything in the file', async () => {
    const ledger = temporaryLedger()
    const recorder = startRecorder(configOf({ ledger }), { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}` })
    await recorder.next('ready')
    await recorder.record({ ended: [{ opening: openingOf({ id: id(1) }), ending: endingOf({ id: id(1) }) }] })
    recorder.post({ kind: 'close', deadlineMs: 60_000 })
    await recorder.next('closed')
    expect(rows(ledger, 'SELECT id, end_reason FROM exchanges')).toEqual([{ id: id(1), end_reason: 'completed' }])
    await expect.poll(recorder.errors).toContain('1 spans stay in the spool and are sent at the next start.')
    expect(waitingRows(ledger)).toBe(1)
  })

  it('is not held up by a log that nobody reads, nor were its other sinks', async () => {
    const collector = await startCollector()
    const ledger = temporaryLedger()
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_BSP_SCHEDULE_DELAY: '60000' }
    const recorder = startRecorder(configOf({ ledger }), env, { readStdout: false })
    const { adminPort } = await recorder.next('listening')
    for (let batch = 0; batch < 5; batch++) {
      const ended = Array.from({ length: 100 }, (_, index) => {
        const mine = id(batch * 100 + index)
        return { opening: openingOf({ id: mine, path: `/${'x'.repeat(4000)}` }), ending: endingOf({ id: mine }) }
      })
      await recorder.record({ ended })
    }
    expect(rows(ledger, 'SELECT count(*) AS count FROM exchanges')).toEqual([{ count: 500 }])
    const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
    expect(metrics).toMatch(/^tokenweir_requests_total\{.*\} 500$/m)
    recorder.post({ kind: 'close', deadlineMs: 8000 }) // all of it is waited for: the log is never through
    await recorder.next('closed')
    const sent = collector.json('/v1/traces').flatMap(spansOf)
    expect(sent).toHaveLength(500)
  })
})

describe('a recorder that cannot start', () => {
  const problemOf = async (recorder: ReturnType<typeof startRecorder>) => {
    const { message, fatal } = await recorder.next('problem')
    recorder.post({ kind: 'close', deadlineMs: 100 })
    await recorder.next('closed')
    return { message, fatal }
  }

  it('says what is wrong with the ledger', async () => {
    const ledger = temporaryLedger()
    mkdirSync(ledger)
    expect(await problemOf(startRecorder(configOf({ ledger })))).toEqual({
      message: `${ledger} is a directory, no ledger of tokenweir, and was left as it is. Choose another file with --ledger FILE, or move this one away.`,
      fatal: true,
    })
  })

  it('says that another tokenweir has the ledger, and leaves its open rows alone', async () => {
    const ledger = temporaryLedger()
    const first = startRecorder(configOf({ ledger }))
    await first.next('ready')
    await first.record({ opened: [openingOf({ id: id(1) })] })
    expect(await problemOf(startRecorder(configOf({ ledger })))).toEqual({
      message: `The ledger ${ledger} is in use by another tokenweir. Stop that one, or give this one a file of its own with --ledger FILE.`,
      fatal: true,
    })
    expect(rows(ledger, 'SELECT id, end_reason FROM exchanges')).toEqual([{ id: id(1), end_reason: null }])
  })
})
