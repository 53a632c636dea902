/**
 * A reader who follows a document from top to bottom: a folder with the checkout in it, a gateway, a collector and a running sidecar, and a shell. What a
 * document prints is run as it stands; only the ports are moved, because those of the documents may be taken, and /etc, which is moved into the folder.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect } from 'vitest'
import { type SampleGateway, startSampleGateway } from '../../../examples/sample-gateway/gateway.ts'
import { cleanEnvironment } from '../../e2e/product.ts'
import { freePort } from '../../ports.ts'
import { type Printed, root, simpleCommands } from './commands.ts'

export interface Ran {
  readonly output: string
  /** The exit code; `undefined` while it runs on. */
  readonly code: number | string | undefined
}

export interface Session {
  readonly folder: string
  run(command: Printed): Promise<Ran>
  /** Ends what runs as Ctrl-C does, and tells what did not end with 0. */
  end(): Promise<readonly string[]>
}

export interface SessionOptions {
  /** What stands for the words that a document tells the reader to replace: `{ VENV: '/path' }`. */
  readonly words?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
}

interface Running {
  readonly child: ChildProcess
  readonly text: string
  readonly exited: Promise<number | string>
  output: string
}

const msMax = 120_000
/** What a program says that goes on until Ctrl-C. */
const isServing = /live page: http|sample gateway listens on|Uvicorn running|ready to accept|Ready for connections/i

const isSidecar = (text: string) =>
  simpleCommands(text).some(
    ([program, first = '-']) =>
      (program === 'tokenweir' && first.startsWith('-') && first !== '--version') || (program === 'npm' && first === 'start'),
  )
/** These end in good order; npx, `tail` at its first line and servers of others may end with the signal itself. */
const endsInOrder = (text: string) => isSidecar(text) || text.startsWith('node examples/')
const isTail = (text: string) => /\btail\b/.test(text) && !text.includes('--no-follow')

export async function startSession({ words = {}, env: given = {} }: SessionOptions): Promise<Session> {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-printed-'))
  const ports = new Map<string, number>()
  const portFor = async (port: string) => {
    if (!ports.has(port)) ports.set(port, await freePort())
    return ports.get(port) as number
  }
  for (const port of ['4141', '4142', '4318', '8000']) await portFor(port)
  const local = (port: string) => `127.0.0.1:${ports.get(port)}`
  prepareCheckout(folder)
  prepareFiles(folder, local('8000'))
  const env = {
    ...cleanEnvironment(),
    ...given,
    ...{
      TOKENWEIR_LISTEN: local('4141'),
      TOKENWEIR_ADMIN: local('4142'),
      npm_config_update_notifier: 'false',
      SHELL_STATE: join(folder, '.state'),
    },
    ...{ OPENAI_API_KEY: 'test', ANTHROPIC_API_KEY: 'test', TOKENWEIR_TOOLS: process.env['TOKENWEIR_TOOLS'] ?? '' },
    PATH: [join(folder, '.bin'), dirname(process.execPath), process.env['PATH']].join(delimiter),
  }
  const gateways = new Map<string, SampleGateway>()
  const collector = await startCollector(ports.get('4318') as number, join(folder, 'spans.jsonl'))
  const running: Running[] = []
  const failures: string[] = []

  async function moved(text: string): Promise<string> {
    const address = /((?:127\.0\.0\.1|localhost|--listen ):|--port[= ])(\d+)/g
    for (const [, , port] of text.matchAll(address)) await portFor(port as string)
    const there = text.replace(address, (_, before, port) => `${before}${ports.get(port)}`).replaceAll(' /etc/', ` ${folder}/etc/`)
    return Object.entries(words).reduce((all, [word, value]) => all.replaceAll(word, value), there)
  }

  /** Whatever a command wants to reach on this machine answers: the sample gateway, unless the document has started something there. */
  async function reachable(text: string): Promise<void> {
    for (const [, port = ''] of text.matchAll(/\/\/127\.0\.0\.1:(\d+)/g)) {
      if (['4141', '4142', '4318'].includes(port) || gateways.has(port)) continue
      const gateway = await startSampleGateway({ port: await portFor(port), eventMs: 1 }).catch(() => undefined)
      if (gateway !== undefined) gateways.set(port, gateway)
    }
  }

  async function interrupt(one: Running): Promise<void> {
    running.splice(running.indexOf(one), 1)
    signalGroup(one.child, 'SIGINT')
    const code = await Promise.race([one.exited, setTimeout(msMax, 'still running', { ref: false })])
    signalGroup(one.child, 'SIGKILL')
    if (code !== 0 && (endsInOrder(one.text) || code !== 'SIGINT')) failures.push(`${one.text}: ${code} after Ctrl-C\n${one.output}`)
  }

  async function shell(text: string, more: Readonly<Record<string, string>> = {}): Promise<Ran> {
    // What a line exports, and the folder it goes to, hold for the lines after it.
    const keep = /^(export|cd)\b/.test(text) ? `\ncode=$?; { export -p; printf 'cd %q\\n' "$PWD"; } > "$SHELL_STATE"; exit $code` : ''
    const script = `[ ! -e "$SHELL_STATE" ] || . "$SHELL_STATE"\n${text}${keep}`
    const child = spawn('bash', ['-c', script], {
      cwd: folder,
      env: { ...env, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    const exited = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string)
    const one: Running = { child, text, exited, output: '' }
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => (one.output += part))
    // Where the documents say that the reader sends it.
    if (isSidecar(text)) child.stdout.on('data', (part: string) => appendFileSync(join(folder, 'sidecar.log'), part))
    running.push(one)
    let code: number | string | undefined
    void exited.then((ended) => (code = ended))
    const until = performance.now() + msMax
    while (code === undefined && performance.now() < until) {
      if (isServing.test(one.output)) return { output: one.output, code: undefined }
      if (isTail(text) && one.output !== '') {
        await interrupt(one)
        return { output: one.output, code: 0 }
      }
      await setTimeout(20)
    }
    running.splice(running.indexOf(one), 1)
    signalGroup(child, 'SIGKILL')
    return { output: one.output, code: code ?? `still running after ${msMax} ms` }
  }

  async function run({ text }: Printed): Promise<Ran> {
    const there = await moved(text)
    const replaced = running.filter((one) => (isSidecar(text) && isSidecar(one.text)) || one.text === there)
    for (const one of replaced) await interrupt(one)
    for (const [, port = ''] of text.matchAll(/sample-gateway\/main\.js --port (\d+)/g)) {
      await gateways.get(port)?.close()
      gateways.delete(port)
    }
    await reachable(text)
    return shell(there)
  }

  async function end(): Promise<readonly string[]> {
    for (const one of [...running].reverse()) await interrupt(one)
    for (const gateway of gateways.values()) await gateway.close()
    collector.closeAllConnections()
    collector.close()
    rmSync(folder, { recursive: true, force: true })
    return failures
  }

  try {
    gateways.set('8000', await startSampleGateway({ port: ports.get('8000') as number, eventMs: 1 }))
    const telemetry = {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${local('4318')}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_SCHEDULE_DELAY: '50',
    }
    const { output, code } = await shell('tokenweir --config tokenweir.yaml', telemetry)
    if (code !== undefined) throw new Error(`the sidecar of the session ended with ${code}:\n${output}`)
    const sent = await sendTraffic(`http://${local('4141')}`)
    await expect.poll(() => readFileSync(join(folder, 'spans.jsonl'), 'utf8').match(/"traceId"/g)?.length, { timeout: msMax }).toBe(sent)
  } catch (error) {
    await end()
    throw error
  }
  return { folder, run, end }
}

/** The checkout as a folder of its own, with `tokenweir` for the PATH in `.bin`. */
export function prepareCheckout(folder: string): void {
  for (const name of readdirSync(root)) if (!/^(tmp|\.git|tokenweir\.db.*)$/.test(name)) symlinkSync(join(root, name), join(folder, name))
  mkdirSync(join(folder, '.bin'))
  symlinkSync(join(root, 'bin/tokenweir.js'), join(folder, '.bin/tokenweir'))
}

/** What the documents say that the reader has: a configuration, recordings of exchanges. */
function prepareFiles(folder: string, upstream: string): void {
  const json = { 'content-type': 'application/json' }
  const answer = { id: 'a', object: 'chat.completion', choices: [], usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 } }
  const request = { method: 'POST', path: '/v1/chat/completions', headers: json, body: { model: 'gpt-4o' } }
  const [name, value] = ['content-type', 'application/json']
  const entry = {
    request: {
      method: 'POST',
      url: 'http://gateway/v1/chat/completions',
      headers: [{ name, value }],
      postData: { mimeType: value, text: '{"model":"gpt-4o"}' },
    },
    response: { status: 200, headers: [{ name, value }], content: { mimeType: value, text: JSON.stringify(answer) } },
  }
  const files: Readonly<Record<string, string>> = {
    'tokenweir.yaml': `upstream: http://${upstream}\nlabels: { team: "header:x-team" }\nproviders: [{ provider: openai, when: { model: "error-*" } }]\n`,
    'exchange.json': JSON.stringify({ request, response: { status: 200, headers: json, body: answer } }),
    'session.har': JSON.stringify({ log: { entries: [entry, entry, entry, entry] } }),
    'asked.json': '{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}',
    'asked.txt': 'POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\n\r\n{"model":"gpt-4o"}',
    'spans.jsonl': '',
  }
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text)
  symlinkSync('sidecar.log', join(folder, 'tokenweir.log'))
  mkdirSync(join(folder, 'etc/systemd/system'), { recursive: true })
}

/** Takes whatever is sent to it, and writes spans as the collector's file exporter does. */
async function startCollector(port: number, file: string): Promise<Server> {
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const part of request.setEncoding('utf8')) body += part
    if (request.url === '/v1/traces' && body.startsWith('{"resourceSpans":[{')) appendFileSync(file, `${body}\n`)
    response.setHeader('content-type', request.headers['content-type'] ?? 'application/json')
    response.end(request.headers['content-type'] === 'application/json' ? '{}' : '')
  })
  await once(server.listen(port, '127.0.0.1'), 'listening')
  return server
}

/** A stream, an answer with a label, and one that fails. */
async function sendTraffic(url: string): Promise<number> {
  const asked = [{ model: 'gpt-4o', stream: true }, { model: 'gpt-4o-mini' }, { model: 'error-429' }]
  for (const body of asked) {
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-team': 'search' },
      body: JSON.stringify({ ...body, messages: [] }),
    }
    await (await fetch(`${url}/v1/chat/completions`, init)).text()
  }
  return asked.length
}

/** Nothing happens when all of it has ended. */
function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal)
  } catch {
    // no such group any more
  }
}
