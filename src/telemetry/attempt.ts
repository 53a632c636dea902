/** One export, as a promise of what became of it: delivered, refused for good, or to be tried again. */
import type { ExportResult } from '@opentelemetry/core'
import type { PartialSuccess } from './diagnostics.ts'

export type Attempt =
  /** `rejected`: records that the collector did not take, by its partial success. */
  | { readonly kind: 'delivered'; readonly rejected: number; readonly message?: string | undefined }
  /** The collector will not take this, now or later. */
  | { readonly kind: 'refused'; readonly message: string }
  /** It may take it later. */
  | { readonly kind: 'failed'; readonly message: string }

/** What the SDK's exporters of spans and log records have in common. */
export interface Exporter<Content> {
  export(content: Content, done: (result: ExportResult) => void): void
}

/** Tells what a collector rejected of the request that is being settled, and forgets it. */
export type TakeRejected = () => Omit<PartialSuccess, 'signal'> | undefined

/** Never rejects. */
export function attempt<Content>(exporter: Exporter<Content>, content: Content, takeRejected: TakeRejected): Promise<Attempt> {
  return new Promise((resolve) => {
    const failed = (error: unknown) => resolve({ kind: 'failed', message: messageOf(error) })
    try {
      takeRejected() // of a request that came too late to be counted
      exporter.export(content, ({ code, error }) => {
        if (code === 0) resolve({ kind: 'delivered', rejected: 0, ...takeRejected() })
        else if (isRefusal(error)) resolve({ kind: 'refused', message: messageOf(error) })
        else failed(error)
      })
    } catch (error) {
      failed(error)
    }
  })
}

/** HTTP statuses that an operator mends, or that pass. */
const mendable = new Set([401, 403, 404, 405, 408, 429])
/** gRPC status codes: https://grpc.io/docs/guides/status-codes. INVALID_ARGUMENT, ALREADY_EXISTS, FAILED_PRECONDITION: of the request itself. */
const grpcRefusals = new Set([3, 6, 9])

/** `code` of an `OTLPExporterError` is an HTTP status, that of a gRPC error a gRPC status. */
function isRefusal(error: Error | undefined): boolean {
  const { code } = (error ?? {}) as { code?: unknown }
  if (typeof code !== 'number') return false
  return grpcRefusals.has(code) || (code >= 400 && code < 500 && !mendable.has(code))
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return error === undefined ? 'The export failed' : String(error)
  const { code } = error as { code?: unknown }
  const status = error.name === 'OTLPExporterError' && typeof code === 'number' ? `${code} ` : ''
  return `${status}${error.message}`.trim() || String(code)
}
