/**
 * Where spans go: the real OpenTelemetry Collector writing to a file, or a receiver of our own that can also be told to misbehave, writing the
 * same lines.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, existsSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { toolPath } from '../../scripts/stack-tools.ts'
import { freePort } from '../ports.ts'
import { until } from './settings.ts'

export interface Collector {
  /** What the sidecar is given: `OTEL_…`. */
  readonly env: Readonly<Record<string, string>>
  /** Files with the spans that it has taken. */
  readonly files: () => readonly string[]
  /** It was absent, and is there. */
  start(): Promise<void>
  /** It is absent from now on. */
  stop(): Promise<void>
}

export type Behaviour = 'takes' | 'hangs' | 'refuses' | 'fails' | 'rejects one' | 'is slow'

export interface OwnCollector extends Collector {
  behave(behaviour: Behaviour): void
  /** Requests answered, or not, in each way. */
  readonly requests: Readonly<Record<Behaviour, number>>
  /** Spans that it has rejected, one by one, and those in requests that it refused; some came again. */
  readonly rejected: () => number
  readonly refused: () => number
}

function environment(port: number, protocol: string): Record<string, string> {
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    OTEL_METRICS_EXPORTER: 'none',
    OTEL_EXPORTER_OTLP_TIMEOUT: '10000', // more than a busy receiver takes: what has timed out comes twice
    OTEL_BSP_SCHEDULE_DELAY: '500',
  }
}

/** Answers slower than this many milliseconds. */
const slowMs = 700

interface Traces {
  readonly resourceSpans: readonly { readonly scopeSpans: { spans: unknown[] }[] }[]
}

export async function createOwnCollector(folder: string): Promise<OwnCollector> {
  const port = await freePort()
  const file = join(folder, 'spans.jsonl')
  const requests: Record<Behaviour, number> = { takes: 0, hangs: 0, refuses: 0, fails: 0, 'rejects one': 0, 'is slow': 0 }
  let behaviour: Behaviour = 'takes'
  let rejected = 0
  let refused = 0
  let server: http.Server | undefined
  const take = (text: string) => appendFileSync(file, `${text}\n`)
  const spansIn = ({ resourceSpans }: Traces) =>
    resourceSpans.flatMap(({ scopeSpans }) => scopeSpans).reduce((sum, { spans }) => sum + spans.length, 0)

  function answer(text: string, response: http.ServerResponse): void {
    const end = (status: number, body: object = {}) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    requests[behaviour]++
    switch (behaviour) {
      case 'takes':
        take(text)
        end(200)
        return
      case 'is slow':
        setTimeout(() => {
          take(text)
          end(200)
        }, slowMs)
        return
      case 'refuses':
        refused += spansIn(JSON.parse(text))
        end(400, { message: 'none of these' })
        return
      case 'fails':
        end(503)
        return
      case 'rejects one': {
        const traces = JSON.parse(text) as Traces
        traces.resourceSpans[0]?.scopeSpans[0]?.spans.pop()
        rejected++
        take(JSON.stringify(traces))
        end(200, { partialSuccess: { rejectedSpans: '1', errorMessage: 'not this one' } })
        return
      }
      case 'hangs': // says nothing
    }
  }

  const collector: OwnCollector = {
    env: environment(port, 'http/json'),
    files: () => (existsSync(file) ? [file] : []),
    requests,
    rejected: () => rejected,
    refused: () => refused,
    behave(now) {
      behaviour = now
    },
    async start() {
      const started = http.createServer((request, response) => {
        const chunks: Buffer[] = []
        request.on('data', (chunk: Buffer) => chunks.push(chunk))
        request.on('end', () => answer(Buffer.concat(chunks).toString(), response))
      })
      server = started
      await new Promise<void>((resolve) => started.listen(port, '127.0.0.1', resolve))
    },
    async stop() {
      const stopped = server
      server = undefined
      if (stopped === undefined) return
      stopped.closeAllConnections()
      await new Promise((resolve) => stopped.close(resolve))
    },
  }
  onTestFinished(collector.stop)
  return collector
}

/** Why the real one cannot be used here; undefined when it can. */
export function realCollectorMissing(): string | undefined {
  return toolPath('otelcol') === undefined ? 'There is no OpenTelemetry Collector here: npm run stack:install builds it.' : undefined
}

const stopMsMax = 120_000

/** Receives over OTLP/HTTP, writes every request as a line of JSON. What it has acknowledged it has given to its file exporter. */
export async function createRealCollector(folder: string): Promise<Collector> {
  const otelcol = toolPath('otelcol')
  if (otelcol === undefined) throw new Error(realCollectorMissing())
  const port = await freePort()
  const [file, configuration] = [join(folder, 'spans.jsonl'), join(folder, 'otelcol.yaml')]
  writeFileSync(
    configuration,
    `receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:${port}" } } } }
exporters: { file: { path: "${file}", append: true } }
service:
  telemetry: { metrics: { level: none }, logs: { level: warn } }
  pipelines: { traces: { receivers: [otlp], exporters: [file] } }
`,
  )
  let child: ChildProcess | undefined
  const collector: Collector = {
    env: environment(port, 'http/protobuf'),
    files: () => (existsSync(file) ? [file] : []),
    async start() {
      child = spawn(otelcol, ['--config', configuration], { stdio: ['ignore', 'ignore', 'inherit'] })
      const answers = () =>
        fetch(`http://127.0.0.1:${port}/v1/traces`).then(
          () => true,
          () => false,
        )
      await until('the collector answers', answers, (does) => does)
    },
    async stop() {
      const stopped = child
      child = undefined
      if (stopped === undefined || stopped.exitCode !== null) return
      const ended = new Promise((resolve) => stopped.once('exit', resolve))
      stopped.kill('SIGTERM')
      const late = setTimeout(() => stopped.kill('SIGKILL'), stopMsMax)
      await ended
      clearTimeout(late)
    },
  }
  onTestFinished(collector.stop)
  return collector
}
