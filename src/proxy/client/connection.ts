/** One connection to an upstream, which carries one call after another, never two at a time. */
import type { Socket } from 'node:net'
import type { Member } from '../../lib/indexed-set.ts'
import { joinedBytesMax } from '../chunked.ts'
import type { Call, Carrier } from './call.ts'
import { isBreak, UpstreamFault } from './fault.ts'
import type { ResponseHead } from './response-head.ts'
import { ResponseParser, type ResponseSink } from './response-parser.ts'
import { Upload, type UploadOwner } from './upload.ts'

export interface ConnectionOwner {
  /** Counts up; the unit of all limits. */
  readonly now: number
  /** Limits in ticks; 0 is none. */
  readonly connectTicks: number
  readonly headTicks: number
  readonly bodyTicks: number
  /** For how many ticks a connection may lie idle whose upstream has said so much of it; 0 when not at all. */
  idleTicks(keepAliveSeconds: number | undefined): number
  /** It has carried a call, and can carry another. */
  rests(connection: Connection): void
  closed(connection: Connection): void
  /** `maySendAgain`: the call met a connection that the upstream had closed meanwhile, and cannot have had an effect, or may have it twice. */
  failed(call: Call, error: Error, maySendAgain: boolean): void
}

export class Connection implements Carrier, Member, ResponseSink, UploadOwner {
  place = 0
  readonly servername: string | undefined
  readonly #socket: Socket
  readonly #isSecure: boolean
  readonly #owner: ConnectionOwner
  readonly #parser: ResponseParser
  #call: Call | undefined
  #upload: Upload | undefined
  #isConnected = false
  /** It has carried a call before this one. */
  #isUsed = false
  /** The socket refused the request at once, so that nothing of it has left. */
  #isUnsent = false
  /** A byte of the answer has come. */
  #isAnswered = false
  #headSeen = false
  #isPaused = false
  /** The upstream will send nothing more. */
  #isEnded = false
  /** The limit that runs, in ticks since then; 0 is none. */
  #ticks = 0
  #since = 0

  /** `call` is sent as soon as the socket is connected. */
  constructor(socket: Socket, isSecure: boolean, servername: string | undefined, call: Call, owner: ConnectionOwner, headerBytes: number) {
    this.servername = servername
    this.#socket = socket
    this.#isSecure = isSecure
    this.#owner = owner
    this.#parser = new ResponseParser(this, headerBytes)
    this.#call = call
    call.carrier = this
    this.#limit(owner.connectTicks)
    socket.once(isSecure ? 'secureConnect' : 'connect', () => this.#onConnect())
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('drain', () => this.#upload?.drained())
    socket.on('end', () => this.#onEnd())
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#onClose())
  }

  /** False once it is known to be closed, or about to be. */
  get isUsable(): boolean {
    return this.#socket.readable && this.#socket.writable
  }

  /** Sends `call` on a connection that rests. */
  carry(call: Call): void {
    this.#isUsed = true
    this.#call = call
    call.carrier = this
    this.#send(call)
  }

  pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.#socket.pause()
    this.#limit(0)
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#socket.resume()
    this.#limit(this.#owner.bodyTicks)
  }

  drop(): void {
    this.#letGo()
    this.#socket.destroy()
  }

  /** Ends the connection and what it carries. */
  destroy(error: Error): void {
    this.#fail(error)
  }

  /** The owner's clock has moved. */
  tick(): void {
    if (this.#ticks === 0 || this.#owner.now - this.#since < this.#ticks) return
    this.#fail(new UpstreamFault(!this.#isConnected ? 'CONNECT_TIMEOUT' : this.#headSeen ? 'BODY_TIMEOUT' : 'HEAD_TIMEOUT'))
  }

  onInterim(head: ResponseHead): void {
    this.#call?.handler.interim(head.status, head.rawHeaders)
  }

  onHead(head: ResponseHead): void {
    this.#headSeen = true
    this.#limit(this.#owner.bodyTicks)
    this.#call?.forgetRequest()
    this.#call?.handler.head(head.status, head.statusText, head.rawHeaders)
  }

  onData(chunk: Buffer): void {
    this.#call?.handler.data(chunk)
  }

  onEnd(rawTrailers: string[]): void {
    const call = this.#call
    if (call === undefined) return
    // An upstream that answers before it has the whole request may not read the rest of it.
    const isEarly = this.#upload !== undefined || this.#socket.writableLength > 0
    this.#letGo()
    const idleTicks = this.#owner.idleTicks(this.#parser.keepAliveSeconds)
    if (this.#parser.persists && call.persists && !isEarly && idleTicks > 0 && !this.#isEnded) this.#rest(idleTicks)
    else this.#socket.destroy()
    call.handler.end(rawTrailers)
    call.isOver = true
  }

  uploaded(chunk: Buffer): void {
    this.#call?.handler.bodySent(chunk)
  }

  uploadBlocked(): void {
    if (!this.#headSeen) this.#limit(this.#owner.headTicks)
  }

  uploadFlows(): void {
    if (!this.#headSeen) this.#limit(0)
  }

  uploadEnded(): void {
    this.#upload = undefined
    if (!this.#headSeen) this.#limit(this.#owner.headTicks)
    this.#call?.handler.requestSent()
  }

  uploadFailed(error: Error): void {
    this.#fail(error)
  }

  #onConnect(): void {
    this.#isConnected = true
    if (this.#call !== undefined) this.#send(this.#call)
  }

  #send(call: Call): void {
    const socket = this.#socket
    const { body, head } = call
    this.#headSeen = false
    this.#isAnswered = false
    this.#parser.begin(call.isHead)
    if (body !== null && !Buffer.isBuffer(body)) {
      this.#limit(0) // a client may take its time; the upstream's begins with the end of the body
      socket.write(head, 'latin1')
      this.#upload = new Upload(socket, body, call.bodyBytes, this)
      return
    }
    this.#limit(this.#owner.headTicks)
    if (body === null || body.length <= joinedBytesMax) {
      socket.write(body === null ? head : head + body.toString('latin1'), 'latin1')
    } else {
      socket.cork() // one system call
      socket.write(head, 'latin1')
      socket.write(body)
      socket.uncork()
    }
    this.#isUnsent = !this.#isSecure && socket.errored !== null // TLS may have sent a part
    if (call.again) return // its handler has been told already
    if (body !== null) call.handler.bodySent(body)
    call.handler.requestSent()
  }

  #onData(chunk: Buffer): void {
    const call = this.#call
    if (call === undefined) {
      this.#socket.destroy() // nothing was asked for
      return
    }
    this.#isAnswered = true
    this.#since = this.#owner.now
    try {
      const fault = this.#parser.push(chunk)
      if (fault !== undefined) this.#fail(new UpstreamFault(fault))
    } catch (error) {
      this.#failed(call, error as Error)
    }
  }

  #onEnd(): void {
    this.#isEnded = true
    const call = this.#call
    if (call === undefined) {
      this.#socket.destroy()
      return
    }
    try {
      const fault = this.#parser.finish()
      if (fault !== undefined) this.#fail(new UpstreamFault(fault))
    } catch (error) {
      this.#failed(call, error as Error)
    }
  }

  #onClose(): void {
    this.#fail(new UpstreamFault('CLOSED'))
    this.#owner.closed(this)
  }

  /** The handler threw: its call ends here, whatever has become of the connection. */
  #failed(call: Call, error: Error): void {
    this.drop()
    call.fail(error)
  }

  #fail(error: Error): void {
    const call = this.#call
    this.drop()
    if (call === undefined || call.isOver) return
    const maySendAgain =
      this.#isUsed &&
      !this.#isAnswered &&
      isBreak(error) &&
      (call.body === null || Buffer.isBuffer(call.body)) &&
      (call.isIdempotent || this.#isUnsent)
    this.#owner.failed(call, error, maySendAgain)
  }

  #letGo(): void {
    if (this.#call !== undefined) this.#call.carrier = undefined
    this.#call = undefined
    this.#upload?.stop()
    this.#upload = undefined
  }

  #rest(idleTicks: number): void {
    if (this.#isPaused) {
      this.#isPaused = false
      this.#socket.resume()
    }
    this.#limit(idleTicks)
    this.#owner.rests(this)
  }

  #limit(ticks: number): void {
    this.#ticks = ticks
    this.#since = this.#owner.now
  }
}
