/**
 * As much of OTLP in protobuf as the tests ask for.
 * Field numbers: https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto
 */

type Fields = readonly (readonly [field: number, value: Buffer | bigint])[]

/** The fields of one message, in order. */
function fieldsOf(message: Buffer): Fields {
  const fields: [number, Buffer | bigint][] = []
  let at = 0
  const varint = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++] as number
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return value
    }
  }
  const bytes = (length: number) => message.subarray(at, (at += length))
  while (at < message.length) {
    const tag = Number(varint())
    const read = { 0: varint, 1: () => bytes(8), 2: () => bytes(Number(varint())), 5: () => bytes(4) }[tag & 7]
    if (read === undefined) throw new Error(`no protobuf at ${at}: wire type ${tag & 7}`)
    fields.push([tag >> 3, read()])
  }
  return fields
}

const messages = (message: Buffer, field: number) =>
  fieldsOf(message).flatMap(([number, value]) => (number === field ? [value as Buffer] : []))
const text = (message: Buffer, field: number) => messages(message, field).map(String).join()

/** Records of an export request: those of each scope of each resource. */
const records = (request: Buffer) =>
  messages(request, 1).flatMap((resource) => messages(resource, 2).flatMap((scope) => messages(scope, 2)))

export const spanNamesOf = (request: Buffer): string[] => records(request).map((span) => text(span, 5))

export interface ReceivedMetric {
  readonly name: string
  readonly temporality: 'delta' | 'cumulative' | undefined
  /** A counter or a histogram: what temporality is about. */
  readonly monotonic: boolean
}

export const metricsOf = (request: Buffer): ReceivedMetric[] =>
  records(request).map((metric) => {
    const [sum] = messages(metric, 7)
    const [histogram] = messages(metric, 9)
    const fields = new Map(fieldsOf(sum ?? histogram ?? Buffer.alloc(0)))
    const temporality = ({ 1: 'delta', 2: 'cumulative' } as const)[Number(fields.get(2)) as 1 | 2]
    return { name: text(metric, 1), temporality, monotonic: histogram !== undefined || fields.get(3) === 1n }
  })
