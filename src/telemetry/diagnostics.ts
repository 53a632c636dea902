/** The SDK's own diagnostics → one sentence each. They repeat with every attempt, so whoever writes them limits them (`line-limit.ts`). */
import { inspect } from 'node:util'
import { type DiagLogger, DiagLogLevel, diag } from '@opentelemetry/api'

const levels: Readonly<Record<string, DiagLogLevel>> = {
  none: DiagLogLevel.NONE,
  error: DiagLogLevel.ERROR,
  warn: DiagLogLevel.WARN,
  info: DiagLogLevel.INFO,
  debug: DiagLogLevel.DEBUG,
  verbose: DiagLogLevel.VERBOSE,
  all: DiagLogLevel.ALL,
}

/** Takes the place of any other OpenTelemetry logger of this thread. `level` is OTEL_LOG_LEVEL; `warn` when not set. */
export function installDiagnostics(level: string | undefined, report: (line: string) => void): void {
  const at =
    (severity: string) =>
    (...parts: unknown[]) =>
      report(`OpenTelemetry ${severity}: ${parts.map(sentence).join(' ')}`)
  const logger: DiagLogger = { error: at('error'), warn: at('warning'), info: at('info'), debug: at('debug'), verbose: at('verbose') }
  const logLevel = levels[level?.toLowerCase() ?? 'warn'] ?? DiagLogLevel.WARN
  diag.setLogger(logger, { logLevel, suppressOverrideMessage: true })
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
