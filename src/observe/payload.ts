/**
 * A body inside a body: SageMaker's event-stream carries the bytes of the container's own answer in `PayloadPart` events, cut anywhere. They
 * are framed again, as what they are by their own first bytes.
 * Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_PayloadPart.html
 */
import { chooseFraming, createFramer } from './frames/choose.ts'
import type { Framer, FramerOptions, Message } from './frames/framer.ts'

export interface Payload {
  /** True when the message was a part of the inner body. */
  take(message: Message): boolean
  end(): void
}

/** Enough to tell the framing by. */
const beginningBytesMin = 12

export function createPayload(contentType: string | undefined, options: FramerOptions): Payload {
  let framer: Framer | undefined
  let beginning: Buffer = Buffer.alloc(0)

  function begin(): void {
    if (framer !== undefined || beginning.length === 0) return
    framer = createFramer(chooseFraming({ contentType, arrayStream: false, firstBytes: beginning }), options)
    framer.push(beginning)
  }

  return {
    take({ event, data }) {
      if (event !== 'PayloadPart') return false
      const bytes = Buffer.from(data)
      if (framer !== undefined) framer.push(bytes)
      else {
        beginning = Buffer.concat([beginning, bytes])
        if (beginning.length >= beginningBytesMin) begin()
      }
      return true
    },
    end() {
      begin()
      framer?.end()
    },
  }
}
