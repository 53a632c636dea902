/**
 * Asks for usage in a request that did not: OpenAI chat and legacy completions report it in a stream only when
 * `stream_options.include_usage` is true (https://platform.openai.com/docs/api-reference/chat/create#chat-create-stream_options).
 */
import { type Member, MembersScan, membersAt } from './members.ts'

export interface Asked {
  /** The client's bytes and the one member more, in pieces. */
  readonly body: readonly Buffer[]
  /** The model named by the request, as its bytes say it; part of what an answer's capability is remembered under. */
  readonly model: string
}

const option = '{"include_usage":true}'
const wanted: ReadonlySet<string> = new Set(['stream', 'stream_options', 'usage', 'model'])
/** A longer value of one of these keys is none that we could mend. */
const valueBytesMax = 64 * 1024
/** What is learnt is kept by the model's name. */
const modelBytesMax = 512

/** The scan of a body that may have to be asked. */
export function createAskScan(): MembersScan {
  return new MembersScan(wanted)
}

/**
 * For a body that has been scanned. `undefined` when nothing is to be asked: no stream, asked already, or bytes that are no JSON object (then they are not
 * ours to mend).
 */
export function askForUsage(body: readonly Buffer[], scan: MembersScan): Asked | undefined {
  const top = scan.members()
  const stream = only(top?.list ?? [], 'stream')
  if (top === undefined || stream === undefined || bytesOf(body, stream)?.toString() !== 'true') return undefined
  const model = only(top.list, 'model')
  const name = model === undefined ? '' : bytesOf(body, model)?.toString()
  if (name === undefined || name.length > modelBytesMax || asksInOtherWords(body, top.list)) return undefined
  const edited = withOption(body, top.inside, top.list)
  return edited && { body: edited, model: name }
}

/** OpenRouter's `usage: {include: true}`. */
function asksInOtherWords(body: readonly Buffer[], list: readonly Member[]): boolean {
  const usage = only(list, 'usage')
  if (usage === undefined) return false
  const bytes = bytesOf(body, usage)
  if (bytes === undefined) return true // who knows
  const include = only(membersAt(bytes, 0)?.list ?? [], 'include')
  return include !== undefined && text(bytes, include) === 'true'
}

function withOption(body: readonly Buffer[], inside: number, list: readonly Member[]): readonly Buffer[] | undefined {
  if (!list.some(({ key }) => key === 'stream_options')) return spliced(body, inside, inside, `"stream_options":${option},`)
  const options = only(list, 'stream_options')
  const bytes = options && bytesOf(body, options)
  if (options === undefined || bytes === undefined) return undefined
  const edited = (from: number, to: number, insert: string) => spliced(body, options.start + from, options.start + to, insert)
  if (bytes.toString() === 'null') return edited(0, bytes.length, option)
  const within = membersAt(bytes, 0)
  if (within === undefined) return undefined
  if (!within.list.some(({ key }) => key === 'include_usage')) {
    return edited(within.inside, within.inside, `"include_usage":true${within.list.length > 0 ? ',' : ''}`)
  }
  const include = only(within.list, 'include_usage')
  if (include === undefined) return undefined
  const said = text(bytes, include)
  return said === 'false' || said === 'null' ? edited(include.start, include.end, 'true') : undefined
}

/** The member of that name when there is exactly one: readers differ on what a repeated name means. */
function only(list: readonly Member[], key: string): Member | undefined {
  const found = list.filter((member) => member.key === key)
  return found.length === 1 ? found[0] : undefined
}

function text(bytes: Buffer, member: Member): string {
  return bytes.toString('utf8', member.start, member.end)
}

/** A value's bytes; `undefined` when they are too many. */
function bytesOf(body: readonly Buffer[], { start, end }: Member): Buffer | undefined {
  return end - start > valueBytesMax ? undefined : Buffer.concat(between(body, start, end))
}

function spliced(body: readonly Buffer[], start: number, end: number, insert: string): readonly Buffer[] {
  return [...between(body, 0, start), Buffer.from(insert), ...between(body, end, Number.POSITIVE_INFINITY)]
}

/** The bytes from `start` to `end`, not copied. */
function between(pieces: readonly Buffer[], start: number, end: number): Buffer[] {
  const found: Buffer[] = []
  let offset = 0
  for (const piece of pieces) {
    const part = piece.subarray(Math.max(0, start - offset), Math.max(0, end - offset))
    if (part.length > 0) found.push(part)
    offset += piece.length
  }
  return found
}
