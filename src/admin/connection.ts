/** A connection between two threads: a stream over a message port, which takes no descriptor and no port of the machine. */
import { Duplex } from 'node:stream'
import type { MessagePort } from 'node:worker_threads'

/** Bytes in one message: a long response must not hold up the thread that takes it. */
const pieceBytesMax = 65_536

type Message = { readonly bytes: Uint8Array } | 'taken' | 'end'

/** Each piece is acknowledged when there is room for the next, so a slow reader slows its writer. */
export function connectionOver(port: MessagePort): Duplex {
  let onTaken: (() => void) | undefined
  let owesAnswer = false
  const tell = (message: Message) => port.postMessage(message, typeof message === 'string' ? [] : [message.bytes.buffer as ArrayBuffer])
  const acknowledge = () => {
    if (owesAnswer) tell('taken')
    owesAnswer = false
  }
  const connection = new Duplex({
    read: acknowledge,
    write(chunk: Uint8Array, _encoding, done) {
      const send = (at: number) => {
        if (at >= chunk.length) return void done()
        onTaken = () => send(at + pieceBytesMax)
        tell({ bytes: new Uint8Array(chunk.subarray(at, at + pieceBytesMax)) })
      }
      send(0)
    },
    final(done) {
      tell('end')
      done()
    },
    destroy(error, done) {
      port.close()
      done(error)
    },
  })
  port.on('message', (message: Message) => {
    if (message === 'taken') onTaken?.()
    else if (message === 'end') connection.push(null)
    else {
      owesAnswer = true
      if (connection.push(message.bytes)) acknowledge()
    }
  })
  port.on('close', () => connection.destroy())
  return connection
}
