/** The body of one request that is sent as it comes: in chunks, or as long as its Content-Length says. */
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { chunkSize, lastChunk } from '../chunked.ts'
import { UpstreamFault } from './fault.ts'

export interface UploadOwner {
  /** These bytes have been handed to the socket. */
  uploaded(chunk: Buffer): void
  /** The upstream takes no more for now; `uploadFlows` follows. */
  uploadBlocked(): void
  uploadFlows(): void
  /** The body is complete. */
  uploadEnded(): void
  uploadFailed(error: Error): void
}

export class Upload {
  readonly #socket: Socket
  readonly #body: Readable
  readonly #bytes: number | undefined
  readonly #owner: UploadOwner
  #sent = 0
  #isOver = false

  /** `bytes` is the length of the body; `undefined` when it goes in chunks. */
  constructor(socket: Socket, body: Readable, bytes: number | undefined, owner: UploadOwner) {
    this.#socket = socket
    this.#body = body
    this.#bytes = bytes
    this.#owner = owner
    body.on('data', this.#onData)
    body.on('end', this.#onEnd)
    body.on('close', this.#onClose)
    body.on('error', this.#onClose)
    if (body.destroyed && !body.readableEnded) process.nextTick(this.#onClose)
    else body.resume()
  }

  /** The socket takes bytes again. */
  drained(): void {
    if (this.#isOver) return
    this.#body.resume()
    this.#owner.uploadFlows()
  }

  /** What is still to come of the body is read and thrown away: a client that sends all of it before it reads has its answer then. */
  stop(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#body.off('data', this.#onData)
    this.#body.resume()
  }

  readonly #onData = (chunk: Buffer): void => {
    if (chunk.length === 0) return
    this.#sent += chunk.length
    if (this.#bytes !== undefined && this.#sent > this.#bytes) {
      this.#fail('REQUEST_LENGTH')
      return
    }
    const socket = this.#socket
    let takesMore: boolean
    if (this.#bytes === undefined) {
      socket.cork()
      socket.write(chunkSize(chunk), 'latin1')
      socket.write(chunk)
      takesMore = socket.write('\r\n', 'latin1')
      socket.uncork()
    } else {
      takesMore = socket.write(chunk)
    }
    if (!takesMore) {
      this.#body.pause()
      this.#owner.uploadBlocked()
    }
    this.#owner.uploaded(chunk)
  }

  readonly #onEnd = (): void => {
    if (this.#isOver) return
    if (this.#bytes !== undefined && this.#sent < this.#bytes) {
      this.#fail('REQUEST_LENGTH')
      return
    }
    this.#isOver = true
    if (this.#bytes === undefined) this.#socket.write(lastChunk(), 'latin1')
    this.#owner.uploadEnded()
  }

  /** Also for its errors: a body that breaks off is one that its client has left. */
  readonly #onClose = (): void => this.#fail('REQUEST_CUT')

  #fail(code: 'REQUEST_CUT' | 'REQUEST_LENGTH'): void {
    if (this.#isOver) return
    this.stop()
    this.#owner.uploadFailed(new UpstreamFault(code))
  }
}
