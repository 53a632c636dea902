/** A body that is one message, emitted at its end as it came. A body longer than `messageBytesMax` gives `limit_hit` and no message. */
import { asBuffer, gather } from './bytes.ts'
import { defaultMessageBytesMax, type Framer, type FramerOptions } from './framer.ts'

export function createWholeFramer(options: FramerOptions): Framer {
  const messageBytesMax = options.messageBytesMax ?? defaultMessageBytesMax
  const gathered = gather(messageBytesMax)
  /** Most bodies come in one chunk, which is then kept and never copied. */
  let only: Buffer | undefined
  let tooLong = false

  function giveUp(): void {
    tooLong = true
    only = undefined
    gathered.clear()
    options.onNote('limit_hit')
  }

  function add(bytes: Buffer): boolean {
    if (only === undefined && gathered.length() === 0) {
      only = bytes
      return bytes.length <= messageBytesMax
    }
    const first = only
    only = undefined
    if (first !== undefined && !gathered.append(first, 0, first.length)) return false
    return gathered.append(bytes, 0, bytes.length)
  }

  return {
    push(chunk) {
      if (tooLong || chunk.length === 0) return
      if (!add(asBuffer(chunk))) giveUp()
    },
    end() {
      const data = only ?? gathered.view()
      only = undefined
      gathered.clear()
      if (data.length > 0) options.onMessage({ event: undefined, data })
    },
  }
}
