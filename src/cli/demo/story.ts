/** The demo's story: what the gateway logged, what tokenweir recorded, and at the end what was really sent. Pure. */
import type { GatewayLog } from './gateway-log.ts'
import type { Recorded, Told } from './ledger.ts'
import type { Sent } from './parts.ts'

export interface StoryRow {
  readonly what: string
  /** Undefined where the gateway's log says nothing of it. */
  readonly gateway?: number
  /** The gateway's bug loses it: its log has 0. */
  readonly isLost?: boolean
  readonly recorded: number
  /** Undefined while requests are in flight, and where the gateway does not know it. */
  readonly sent?: number | undefined
  readonly unit?: 'USD'
}

export interface Evidence {
  readonly log: GatewayLog
  readonly ledger: Recorded
  /** Lines "Streaming request logged" of the sidecar's request log. */
  readonly logged: number
}

/** What clients and gateway know once all responses have ended. */
export interface Truth {
  /** Requests that clients made. */
  readonly requests: number
  readonly sent: readonly Sent[]
  readonly told: readonly Told[]
}

/** Without `truth`, of this moment. */
export function storyRows({ log, ledger, logged }: Evidence, truth?: Truth): readonly StoryRow[] {
  const streamed = truth?.sent.filter((one) => one.streamed)
  const plain = truth?.sent.filter((one) => !one.streamed && one.status === 200)
  return [
    { what: 'streamed requests logged', gateway: log.streamed.requests, isLost: true, recorded: logged, sent: streamed?.length },
    { what: '  their tokens', gateway: log.streamed.tokens, isLost: true, recorded: ledger.streamed.tokens, sent: tokensOf(streamed) },
    { what: '  their cost in USD', recorded: ledger.streamed.cost, unit: 'USD' },
    { what: 'plain requests logged', gateway: log.plain.requests, recorded: ledger.plain.requests, sent: plain?.length },
    { what: '  their tokens', gateway: log.plain.tokens, recorded: ledger.plain.tokens, sent: tokensOf(plain) },
    { what: 'all requests, failed ones too', recorded: ledger.requests, sent: truth?.requests },
    ...(truth === undefined ? [] : [oneByOne(truth)]),
  ]
}

/** Whether the row is as it should be. */
export function isRight({ gateway, isLost, recorded, sent }: StoryRow): boolean {
  if (sent === undefined) return true
  return recorded === sent && (gateway === undefined || gateway === (isLost === true ? 0 : sent))
}

const isFinal = ({ ended, usage }: Sent) => ended === 'whole' && usage !== undefined

/** Of responses whose usage is whole, as in the ledger. */
function tokensOf(sent: readonly Sent[] | undefined): number | undefined {
  return sent?.filter(isFinal).reduce((sum, { usage }) => sum + (usage?.inputTokens ?? 0) + (usage?.outputTokens ?? 0), 0)
}

function oneByOne({ sent, told }: Truth): StoryRow {
  const rowOf = new Map(told.map((row) => [row.response_id, row]))
  const withId = sent.filter((one) => isFinal(one) && one.id !== undefined)
  const same = withId.filter(({ id, usage }) => {
    const row = rowOf.get(id ?? null)
    return row !== undefined && row.input_tokens === (usage?.inputTokens ?? null) && row.output_tokens === (usage?.outputTokens ?? null)
  })
  return { what: 'token counts right, one by one', recorded: same.length, sent: withId.length }
}
