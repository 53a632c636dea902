/**
 * Asks for usage in a request that did not: OpenAI chat and legacy completions report it in a stream only when
 * `stream_options.include_usage` is true (https://platform.openai.com/docs/api-reference/chat/create#chat-create-stream_options).
 */
import { type Member, membersAt } from './members.ts'

export interface Asked {
  /** The client's bytes and the one member more. */
  readonly body: Buffer
  /** The model named by the request, as its bytes say it; part of what an answer's capability is remembered under. */
  readonly model: string
}

const option = '{"include_usage":true}'

/** `undefined` when nothing is to be asked: no stream, asked already, or bytes that are no JSON object (then they are not ours to mend). */
export function askForUsage(body: Buffer): Asked | undefined {
  const top = membersAt(body, 0)
  if (top === undefined) return undefined
  const stream = only(top.list, 'stream')
  if (stream === undefined || text(body, stream) !== 'true' || asksInOtherWords(body, top.list)) return undefined
  const edited = withOption(body, top.inside, top.list)
  if (edited === undefined) return undefined
  const model = only(top.list, 'model')
  return { body: edited, model: model === undefined ? '' : text(body, model) }
}

/** OpenRouter's `usage: {include: true}`. */
function asksInOtherWords(body: Buffer, list: readonly Member[]): boolean {
  const usage = only(list, 'usage')
  const within = usage === undefined ? undefined : membersAt(body, usage.start)
  const include = within === undefined ? undefined : only(within.list, 'include')
  return include !== undefined && text(body, include) === 'true'
}

function withOption(body: Buffer, inside: number, list: readonly Member[]): Buffer | undefined {
  if (!list.some(({ key }) => key === 'stream_options')) return spliced(body, inside, inside, `"stream_options":${option},`)
  const options = only(list, 'stream_options')
  if (options === undefined) return undefined
  if (text(body, options) === 'null') return spliced(body, options.start, options.end, option)
  const within = membersAt(body, options.start)
  if (within === undefined) return undefined
  if (!within.list.some(({ key }) => key === 'include_usage')) {
    return spliced(body, within.inside, within.inside, `"include_usage":true${within.list.length > 0 ? ',' : ''}`)
  }
  const include = only(within.list, 'include_usage')
  if (include === undefined) return undefined
  const said = text(body, include)
  return said === 'false' || said === 'null' ? spliced(body, include.start, include.end, 'true') : undefined
}

/** The member of that name when there is exactly one: readers differ on what a repeated name means. */
function only(list: readonly Member[], key: string): Member | undefined {
  const found = list.filter((member) => member.key === key)
  return found.length === 1 ? found[0] : undefined
}

function text(body: Buffer, member: Member): string {
  return body.toString('utf8', member.start, member.end)
}

function spliced(body: Buffer, start: number, end: number, insert: string): Buffer {
  return Buffer.concat([body.subarray(0, start), Buffer.from(insert), body.subarray(end)])
}
