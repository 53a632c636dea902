/** What the collector's file exporter wrote: OTLP as JSON, a batch a line. */
import { existsSync, readFileSync } from 'node:fs'

/** A span or a log record, with its own attributes and those of its resource. */
export interface OtlpRecord {
  readonly traceId: string
  readonly spanId: string
  /** Of a span its name, of a log record its body. */
  readonly name: string
  readonly attributes: Readonly<Record<string, string | number | boolean | undefined>>
  readonly resource: Readonly<Record<string, string | number | boolean | undefined>>
}

interface Attribute {
  readonly key: string
  readonly value: {
    readonly stringValue?: string
    readonly intValue?: string | number
    readonly doubleValue?: number
    readonly boolValue?: boolean
  }
}
interface Written {
  readonly traceId?: string
  readonly spanId?: string
  readonly name?: string
  readonly body?: { readonly stringValue?: string }
  readonly attributes?: readonly Attribute[]
}
type Scope = { readonly spans?: readonly Written[]; readonly logRecords?: readonly Written[] }
interface Resource {
  readonly resource?: { readonly attributes?: readonly Attribute[] }
  readonly scopeSpans?: readonly Scope[]
  readonly scopeLogs?: readonly Scope[]
}
interface Batch {
  readonly resourceSpans?: readonly Resource[]
  readonly resourceLogs?: readonly Resource[]
}

/** Integers come as strings in OTLP's JSON; lists are left out. */
function plain(attributes: readonly Attribute[] = []): OtlpRecord['attributes'] {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.intValue === undefined ? (value.stringValue ?? value.doubleValue ?? value.boolValue) : Number(value.intValue),
    ]),
  )
}

export function recordsOf(path: string): readonly OtlpRecord[] {
  if (!existsSync(path)) return []
  // The last line may be half-written.
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  return lines.flatMap((line) => {
    const { resourceSpans = [], resourceLogs = [] } = JSON.parse(line) as Batch
    return [...resourceSpans, ...resourceLogs].flatMap(({ resource, scopeSpans = [], scopeLogs = [] }) =>
      [...scopeSpans, ...scopeLogs]
        .flatMap(({ spans = [], logRecords = [] }) => [...spans, ...logRecords])
        .map(({ traceId = '', spanId = '', name, body, attributes }) => ({
          ...{ traceId, spanId, name: name ?? body?.stringValue ?? '' },
          attributes: plain(attributes),
          resource: plain(resource?.attributes),
        })),
    )
  })
}
