/** A batch as the proxying thread holds it until the recorder has recorded it: it can be packed again for another recorder. */

import type { Ending, Opening } from '../lib/exchange.ts'
import type { Packed, Slice } from './batch.ts'

/** Chunks as they came; handed over, so nobody changes them any more. */
export interface BufferedBody {
  readonly chunks: readonly Uint8Array[]
  readonly bytes: number
}

const pieceBytesMin = 1024

export interface PendingEnd {
  readonly opening: Opening
  readonly ending: Ending
  /** The recorder that this batch was gathered for has been told of the opening, of the request's body, in an earlier batch. */
  readonly isOpeningTold: boolean
  readonly isRequestTold: boolean
  readonly requestBody: BufferedBody | undefined
  readonly responseBody: BufferedBody | undefined
}

export interface PendingBatch {
  readonly opened: readonly Opening[]
  readonly requests: readonly { readonly id: string; readonly body: BufferedBody }[]
  readonly ended: readonly PendingEnd[]
}

/** For a recorder that has never heard of anything (`isAnew`) each ending carries all that is known of its exchange. */
export function packed(
  { opened, requests, ended }: PendingBatch,
  { isAnew, withBodies }: { isAnew: boolean; withBodies: boolean },
): Packed {
  const bodies: BufferedBody[] = []
  let total = 0
  const slice = (body: BufferedBody | undefined): Slice | undefined => {
    if (body === undefined || !withBodies) return undefined
    const offset = total
    total += body.bytes
    bodies.push(body)
    return [offset, body.bytes]
  }
  const told: { id: string; body: Slice }[] = []
  for (const { id, body } of requests) {
    const part = slice(body)
    if (part !== undefined) told.push({ id, body: part })
  }
  const packedEnded = ended.map((one) => ({
    opening: one.isOpeningTold && !isAnew ? undefined : one.opening,
    ending: one.ending,
    requestBody: one.isRequestTold && !isAnew ? undefined : slice(one.requestBody),
    responseBody: slice(one.responseBody),
  }))
  return { opened, requests: told, ended: packedEnded, bytes: joined(bodies, total) }
}

function joined(bodies: readonly BufferedBody[], total: number): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.allocUnsafeSlow(total) // a block of its own, that can be transferred
  let at = 0
  for (const { chunks } of bodies) {
    for (const chunk of chunks) {
      bytes.set(chunk, at)
      at += chunk.length
    }
  }
  return bytes
}

export function bodyOf(chunks: readonly Uint8Array[] | undefined): BufferedBody | undefined {
  if (chunks === undefined) return undefined
  let bytes = 0
  for (const chunk of chunks) bytes += chunk.length
  // A piece of one byte costs hundreds. One piece alone is not copied: who sent it on holds it too.
  const isInPieces = chunks.length > 1 && bytes < chunks.length * pieceBytesMin
  return { chunks: isInPieces ? [Buffer.concat(chunks)] : chunks, bytes }
}

/** Of all the bodies that a batch holds. */
export function bytesOf({ requests, ended }: PendingBatch): number {
  let bytes = 0
  for (const { body } of requests) bytes += body.bytes
  for (const { requestBody, responseBody } of ended) bytes += (requestBody?.bytes ?? 0) + (responseBody?.bytes ?? 0)
  return bytes
}
