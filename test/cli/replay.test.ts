/** `tokenweir replay`: the same reading as a live exchange gets, and which message brought what. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { readRecording, recordingOfMessages } from '../../src/cli/replay/recording.ts'
import { replay } from '../../src/cli/replay/replay.ts'
import { createPricer } from '../../src/conclude/pricing/pricer.ts'
import { loadConfig } from '../../src/config/config.ts'
import type { ResponseFacts } from '../../src/lib/exchange.ts'
import { ownRecordings } from '../recordings/recording.ts'
import { runOn, terminals, visible } from './terminal.ts'

const folder = mkdtempSync(join(tmpdir(), 'tokenweir-replay-'))
afterAll(() => rmSync(folder, { recursive: true }))

function fileOf(name: string, content: unknown): string {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

const head = { id: 'chatcmpl-1', object: 'chat.completion.chunk', model: 'gpt-4o-2024-08-06' }
const usage = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 }
const stream = [
  { ...head, choices: [{ index: 0, delta: { content: 'hi' }, finish_reason: null }] },
  { ...head, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
  { ...head, choices: [], usage },
]
  .map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`)
  .concat('data: [DONE]\n\n')
  .join('')

const request = { method: 'POST', path: '/v1/chat/completions', headers: {}, body: { model: 'gpt-4o', stream: true } }
const response = { status: 200, headers: { 'content-type': 'text/event-stream' }, body: stream }

const loaded = await loadConfig({ flags: {}, env: {}, readFile: () => '', upstreamNeeded: false })
const config = 'config' in loaded ? loaded.config : undefined
const pricer = createPricer({ prices: [] })
await pricer.load()

async function read(recording: Parameters<typeof replay>[0]) {
  if (config === undefined) throw new Error('The defaults are no configuration.')
  return replay(recording, { config, pricer, outcome: { kind: 'answered' }, at: Date.UTC(2026, 0, 1) })
}

describe('replay', () => {
  it.each(ownRecordings().map((recording) => [recording.name, recording] as const))(
    'reads as a live exchange is read: %s',
    async (_name, recording) => {
      const { method, path, requestHeaders, requestBody, status, responseHeaders, body, expected } = recording
      const file = {
        request: { method, path, headers: requestHeaders, body: requestBody.toString() },
        response: { status, headers: responseHeaders, body_base64: body.toString('base64') },
      }
      const replayed = await read(readRecording(JSON.stringify(file), undefined))
      expect({ framing: replayed.framing.name, format: replayed.format.name }).toEqual({
        framing: recording.framing,
        format: expected?.format,
      })
      // What the messages brought one by one is what stands in the end.
      const brought: Partial<ResponseFacts> = Object.assign({}, ...replayed.lessons.map(({ facts }) => facts))
      expect(brought.usage).toEqual(replayed.exchange.response?.usage)
      expect(replayed.exchange.response?.usage).toEqual(expected?.facts.usage)
    },
  )

  it.each(terminals)('looks as it should: $name', async ({ name, ...terminal }) => {
    const file = fileOf('stream.json', { request, response })
    const silent = fileOf('silent.json', { request, response: { ...response, body: stream.replace(/data: [^\n]*"usage"[^\n]*\n\n/, '') } })
    const shown = [await runOn(terminal, ['replay', file]), await runOn(terminal, ['replay', silent])]
    expect(shown.map(({ code, stderr }) => ({ code, stderr }))).toEqual([
      { code: 0, stderr: '' },
      { code: 0, stderr: '' },
    ])
    await expect(visible(shown.map(({ stdout }) => stdout).join('\n'))).toMatchFileSnapshot(`golden/replay-${name}.txt`)
  })

  it('says as JSON what it says as text', async () => {
    const { stdout } = await runOn({ columns: undefined, colour: false }, [
      'replay',
      '--json',
      fileOf('stream.json', { request, response }),
    ])
    expect(JSON.parse(stdout)).toEqual(
      expect.objectContaining({
        framing: { name: 'sse', why: 'by Content-Type text/event-stream and the first bytes ‹data: {"id":›' },
        messages: 4,
        lessons: [
          { message: 1, facts: { id: 'chatcmpl-1', model: 'gpt-4o-2024-08-06' } },
          { message: 2, facts: { finishReasons: ['stop'] } },
          { message: 3, facts: { usage: { inputTokens: 11, outputTokens: 7, totalTokens: 18 }, finished: true } },
        ],
        usageOutcome: 'reported',
      }),
    )
  })

  it('reads a stream that was cut by its client as such', async () => {
    const half = { ...response, body: stream.slice(0, stream.length / 3) }
    const { stdout } = await runOn({ columns: undefined, colour: false }, [
      ...['replay', '--json', '--ended', 'client-aborted', fileOf('half.json', { request, response: half })],
    ])
    const { endReason, usageOutcome, usageReason } = JSON.parse(stdout) as Record<string, string>
    expect({ endReason, usageOutcome, usageReason }).toEqual({
      endReason: 'client-aborted',
      usageOutcome: 'missing',
      usageReason: 'client_left',
    })
  })

  const reported = { inputTokens: 11, outputTokens: 7, totalTokens: 18 }

  it('decodes a compressed recording', async () => {
    const headers = { ...response.headers, 'content-encoding': 'gzip' }
    const file = { request, response: { status: 200, headers, body_base64: gzipSync(stream).toString('base64') } }
    const { exchange, messages } = await read(readRecording(JSON.stringify(file), undefined))
    expect({ usage: exchange.response?.usage, messages }).toEqual({ usage: reported, messages: 4 })
  })

  const har = (...urls: readonly string[]) => ({
    log: {
      entries: urls.map((url) => ({
        request: {
          method: 'POST',
          url,
          headers: [{ name: 'Content-Type', value: 'application/json' }],
          postData: { text: JSON.stringify(request.body) },
        },
        response: {
          status: 200,
          headers: [{ name: 'Content-Encoding', value: 'br' }],
          content: { mimeType: 'text/event-stream', text: stream },
        },
      })),
    },
  })

  it('reads a HAR file, whose bodies are decoded', async () => {
    const url = 'https://api.groq.com/openai/v1/chat/completions'
    const { exchange } = await read(readRecording(JSON.stringify(har(url)), undefined))
    expect({ provider: exchange.provider, usage: exchange.response?.usage }).toEqual({ provider: 'groq', usage: reported })
    const second = await read(readRecording(JSON.stringify(har('https://a.example/x', url)), 2))
    expect(second.exchange.provider).toBe('groq')
  })

  it('reads two HTTP messages', async () => {
    const asked = `POST /openai/v1/chat/completions HTTP/1.1\r\nHost: api.groq.com\r\n\r\n${JSON.stringify(request.body)}`
    const answered = `HTTP/2 200 \ncontent-type: text/event-stream\n\n${stream}`
    const { exchange } = await read(recordingOfMessages(Buffer.from(asked), Buffer.from(answered)))
    expect({ provider: exchange.provider, usage: exchange.response?.usage }).toEqual({ provider: 'groq', usage: reported })
  })

  it.each([
    ['no JSON', '{"request": ', 1, 'This is no JSON (Unexpected end of JSON input). A recording is JSON'],
    ['nothing of ours', '{"a": 1}', 1, 'There is no "request" and "response" in it.'],
    ['no path', '{"request": {}, "response": {"status": 200}}', 1, '"request" has no "path".'],
    ['no status', '{"request": {"path": "/v1"}, "response": {"status": "200"}}', 1, '"response" has no "status", or it is no number.'],
    ['several entries', JSON.stringify(har('https://a.example', 'https://b.example')), 1, 'Choose one with --entry: 1, 2.'],
    ['no entry', '{"log": {"entries": []}}', 1, 'The file has 0 entries; choose one with --entry.'],
  ])('says what is wrong with a file: %s', async (name, text, code, sentence) => {
    const result = await runOn({ columns: 80, colour: false }, ['replay', fileOf(`${name}.json`, text)])
    expect([result.code, result.stdout, result.stderr]).toEqual([code, '', expect.stringContaining(sentence)])
  })

  it.each([
    [['/nowhere/at/all'], 1, 'The file cannot be read (ENOENT).'],
    [[], 2, 'Name the recording, or - for standard input.'],
    [['--request', 'a'], 2, '--request and --response belong together, without a FILE.'],
    [['a', '--ended', 'well'], 2, '--ended "well" is none of answered, client-aborted, upstream-aborted.'],
    [['a', '--entry', '0'], 2, '--entry "0" is no number from 1 on.'],
    [['a', 'b'], 2, '"b" is one argument too many.'],
  ])('refuses wrong arguments: %s', async (args, code, sentence) => {
    const result = await runOn({ columns: 80, colour: false }, ['replay', ...args])
    expect([result.code, result.stdout, result.stderr]).toEqual([code, '', expect.stringContaining(sentence)])
  })
})
