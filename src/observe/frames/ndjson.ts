/**
 * One JSON value per line (NDJSON, JSON Lines; also RFC 7464 JSON text sequences, whose records begin with RS and end with LF). Lines end
 * in LF or CR LF; blank ones are ignored; the last one may lack its line end. A line that begins like no object and no array is
 * noted as `parse_error` and left out.
 */
import { asBuffer, gather, isSpace, LINE_FEED } from './bytes.ts'
import { defaultMessageBytesMax, type Framer, type FramerOptions } from './framer.ts'
import { createReporter } from './reporter.ts'

const RECORD_SEPARATOR = 0x1e
/** Room for what may stand around the value of a line: a byte order mark, RS, CR. */
const lineOverheadBytes = 16

export function createNdjsonFramer(options: FramerOptions): Framer {
  const messageBytesMax = options.messageBytesMax ?? defaultMessageBytesMax
  const report = createReporter(options)
  const lineBytesMax = messageBytesMax + lineOverheadBytes
  const partial = gather(lineBytesMax)
  let tooLong = false

  function hold(bytes: Buffer, start: number, end: number): void {
    if (tooLong || partial.append(bytes, start, end)) return
    tooLong = true
    partial.clear()
    report.note('limit_hit')
  }

  function lineEnd(): void {
    if (!tooLong) line(partial.view())
    tooLong = false
    partial.clear()
  }

  function line(bytes: Buffer): void {
    const value = valueIn(bytes)
    if (value.length > messageBytesMax || bytes.length > lineBytesMax) report.note('limit_hit')
    else if (value[0] === 0x7b || value[0] === 0x5b) report.message(undefined, value)
    else if (value.length > 0) report.note('parse_error')
  }

  return {
    push(chunk) {
      const bytes = asBuffer(chunk)
      report.readWanted()
      let start = 0
      for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED, start)) {
        if (partial.length() === 0 && !tooLong) line(bytes.subarray(start, end))
        else {
          hold(bytes, start, end)
          lineEnd()
        }
        start = end + 1
      }
      if (start < bytes.length) hold(bytes, start, bytes.length)
    },
    end: lineEnd,
  }
}

/** What a line holds besides white space, a record separator and a byte order mark. */
function valueIn(line: Buffer): Buffer {
  let start = 0
  while (isSpace(line[start]) || line[start] === RECORD_SEPARATOR) start++
  if (line[start] === 0xef && line[start + 1] === 0xbb && line[start + 2] === 0xbf) start += 3
  let end = line.length
  while (end > start && isSpace(line[end - 1])) end--
  return line.subarray(start, end)
}
