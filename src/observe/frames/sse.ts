/**
 * Server-sent events (WHATWG HTML §9.2), by eventsource-parser. The text is Latin-1 here: a character is a byte, so nothing depends on how the body was
 * cut, and only a message that is wanted is made into bytes again.
 *
 * Beyond the standard: an event at the end of the body is dispatched without its blank line, as real servers leave that out. A body that has text, but
 * not one field or comment, is noted as `parse_error`.
 */
import { createParser } from 'eventsource-parser'
import { asBuffer } from './bytes.ts'
import { defaultMessageBytesMax, type Framer, type FramerOptions } from './framer.ts'
import { createReporter } from './reporter.ts'
import type { WantedPattern } from './wanted.ts'

/** Beside twice the longest message: field names and line ends of an event. */
const overheadBytesMax = 64 * 1024
const blankLine = /\n\n|\n\r\n|\r\r/

export function createSseFramer(options: FramerOptions): Framer {
  const messageBytesMax = options.messageBytesMax ?? defaultMessageBytesMax
  const report = createReporter(options)
  let pattern: WantedPattern | undefined
  let isUnderstood = false
  let hasText = false
  /** Bytes since the last event, or comment, as far as chunks tell. */
  let pendingBytes = 0
  /** The end of what was passed over of an event that is too long; undefined while none is passed over. */
  let passedOver: string | undefined

  const understood = () => {
    isUnderstood = true
    pendingBytes = 0
  }
  const parser = createParser({
    onEvent({ event, data }) {
      understood()
      if (data.length > messageBytesMax || (event !== undefined && event.length > messageBytesMax)) report.note('limit_hit')
      else if (pattern === undefined || pattern.endOfMatch(data, 0) !== -1)
        report.message(event && utf8(event), Buffer.from(data, 'latin1'))
    },
    onComment: understood,
    onId: understood,
    onRetry: understood,
  })

  function feed(text: string): void {
    pendingBytes += text.length
    parser.feed(text)
    if (pendingBytes <= 2 * messageBytesMax + overheadBytesMax) return
    report.note('limit_hit')
    parser.reset()
    passedOver = text.slice(-2)
  }

  /** What stands behind the blank line that ends the event that is passed over. */
  function behindBlankLine(text: string, before: string): string {
    const whole = before + text
    const found = blankLine.exec(whole)
    passedOver = found === null ? whole.slice(-2) : undefined
    pendingBytes = 0
    return found === null ? '' : whole.slice(found.index + found[0].length)
  }

  return {
    push(chunk) {
      pattern = report.readWanted()
      const text = asBuffer(chunk).toString('latin1')
      hasText ||= /\S/.test(text)
      const rest = passedOver === undefined ? text : behindBlankLine(text, passedOver)
      if (rest !== '') feed(rest)
    },
    end() {
      if (passedOver === undefined) parser.feed('\n\n')
      if (hasText && !isUnderstood) report.note('parse_error')
    },
  }
}

function utf8(text: string): string {
  return Buffer.from(text, 'latin1').toString()
}
