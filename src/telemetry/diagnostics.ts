/** The SDK's own diagnostics → one sentence each. They repeat with every attempt, so whoever writes them limits them (`line-limit.ts`). */
import { inspect } from 'node:util'
import { type DiagLogger, DiagLogLevel, diag } from '@opentelemetry/api'
import { number, object, parseJson, string } from '../lib/json.ts'
import type { Signal } from './signal.ts'

const levels: Readonly<Record<string, DiagLogLevel>> = {
  none: DiagLogLevel.NONE,
  error: DiagLogLevel.ERROR,
  warn: DiagLogLevel.WARN,
  info: DiagLogLevel.INFO,
  debug: DiagLogLevel.DEBUG,
  verbose: DiagLogLevel.VERBOSE,
  all: DiagLogLevel.ALL,
}

/** What a collector did not take of a request that it answered with success. */
export interface PartialSuccess {
  readonly signal: Signal
  readonly rejected: number
  readonly message: string | undefined
}

/** What the SDK's exporters tell nowhere but in a diagnostic; heard whatever the level. */
export interface ExporterTelling {
  /** Comes while the request that it answers is being settled. */
  onPartialSuccess(partial: PartialSuccess): void
  /** A request failed, and its exporter is going to send it again: the collector may have had it. */
  onRetry(): void
}

/** Takes the place of any other OpenTelemetry logger of this thread. `level` is OTEL_LOG_LEVEL; `warn` when not set. */
export function installDiagnostics(level: string | undefined, report: (line: string) => void, telling?: ExporterTelling): void {
  const shown = levels[level?.toLowerCase() ?? 'warn'] ?? DiagLogLevel.WARN
  const at =
    (severity: string, needed: DiagLogLevel) =>
    (...parts: unknown[]) => {
      const partial = telling === undefined ? undefined : partialSuccessIn(parts)
      if (partial !== undefined) telling?.onPartialSuccess(partial)
      else if (shown >= needed) report(`OpenTelemetry ${severity}: ${parts.map(sentence).join(' ')}`)
    }
  const verbose = at('verbose', DiagLogLevel.VERBOSE)
  const logger: DiagLogger = {
    error: at('error', DiagLogLevel.ERROR),
    warn: at('warning', DiagLogLevel.WARN),
    info: at('info', DiagLogLevel.INFO),
    debug: at('debug', DiagLogLevel.DEBUG),
    verbose(...parts) {
      if (isRetry(parts)) telling?.onRetry()
      verbose(...parts)
    },
  }
  diag.setLogger(logger, { logLevel: telling === undefined ? shown : DiagLogLevel.ALL, suppressOverrideMessage: true })
}

/** The SDK would install a logger of its own that writes to standard output, which is the request log's. */
export function withOurDiagnostics<Result>(start: () => Result): Result {
  const { setLogger } = diag
  const setNothing = () => true
  diag.setLogger = setNothing
  try {
    return start()
  } finally {
    diag.setLogger = setLogger
  }
}

const isRetry = ([sentence]: readonly unknown[]) => typeof sentence === 'string' && sentence.startsWith('Scheduling export retry')

/** Of spans or log records; that of metrics is shown like any other warning. */
function partialSuccessIn([sentence, json]: readonly unknown[]): PartialSuccess | undefined {
  if (sentence !== 'Received Partial Success response:' || typeof json !== 'string') return undefined
  const told = object(parseJson(json))
  const spans = told?.['rejectedSpans']
  const rejected = spans ?? told?.['rejectedLogRecords']
  if (told === undefined || rejected === undefined) return undefined
  // 64-bit integers are text in JSON.
  const count = number(rejected) ?? Number(string(rejected))
  return { signal: spans === undefined ? 'logs' : 'traces', rejected: count > 0 ? count : 0, message: string(told['errorMessage']) }
}

/** The SDK reports errors as JSON with a stack: the message alone is what a reader needs, and it repeats. */
function sentence(part: unknown): string {
  if (part instanceof Error) return part.message
  if (typeof part !== 'string') return inspect(part, { depth: 2, breakLength: Number.POSITIVE_INFINITY })
  if (!part.startsWith('{')) return part
  try {
    const { message, code, name } = JSON.parse(part) as Record<string, unknown>
    return String(message ?? code ?? name ?? part)
  } catch {
    return part
  }
}
