/** Looks at a stream that was not asked for usage: whether usage comes all the same; and at the first event of one that was. */
import type { FirstEvent } from '../edit.ts'

/** No JSON string holds this unescaped, so that it is a key. */
const usageKey = /"usage"[ \t]*:[ \t]*\{/
const doneMark = /(^|\n)data:[ \t]*\[DONE\]/
const tailChars = 32

/** `onEnd` is told once, at the stream's own end or its `[DONE]`, at which clients leave; not when it is cut. */
export function createUsageWatch(onEnd: (hasUsage: boolean) => void): { push(chunk: Buffer): void; end(): void } {
  let tail = ''
  let hasUsage = false
  let hasText = false
  let isOver = false
  function end(): void {
    if (hasText && !isOver) onEnd(hasUsage)
    isOver = true
  }
  return {
    push(chunk) {
      if (isOver) return
      hasText ||= chunk.length > 0
      const text = tail + chunk.toString('latin1')
      hasUsage ||= usageKey.test(text)
      if (doneMark.test(text)) end()
      tail = text.slice(-tailChars)
    },
    end,
  }
}

/** Of a stream's body so far: its first event that has data, comments passed over. */
export function firstEvent(body: Buffer): FirstEvent {
  const text = body.toString('utf8')
  for (const event of text.split(/\r?\n\r?\n/).slice(0, -1)) {
    const lines = event.split(/\r?\n/)
    const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(5))
    if (data.length > 0) return isError(data.join('\n'), lines) ? 'error' : 'fine'
  }
  return 'unknown yet'
}

function isError(data: string, lines: readonly string[]): boolean {
  if (lines.some((line) => /^event: *error *$/.test(line))) return true
  try {
    const value = JSON.parse(data) as { error?: unknown; object?: unknown; choices?: unknown } | null
    if (typeof value !== 'object' || value === null) return false
    const hasError = value.error !== undefined && value.error !== null
    return (hasError || value.object === 'error') && !Array.isArray(value.choices)
  } catch {
    return false
  }
}
