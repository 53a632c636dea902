/** What arrives from the proxying thread → a batch for the sinks. Remembers the requests that are open. */

import { endReasonOf, errorTypeOf } from '../conclude/ending.ts'
import type { Ending, Exchange, Opening } from '../lib/exchange.ts'
import type { Batch } from '../sinks/sink.ts'
import type { Packed, Slice } from './batch.ts'

/** `Reading` is what the request's body taught; this file hands it on and does not look inside. */
interface Conclusion<Reading> {
  readonly readRequest: (opening: Opening, body: Uint8Array | undefined) => Reading
  readonly conclude: (opening: Opening, ending: Ending, reading: Reading, responseBody: Uint8Array | undefined) => Exchange
}

export interface UnpackOptions<Reading> extends Conclusion<Reading> {
  /** The readable name of a caller, where the operator has given it one. */
  readonly nameOf: (caller: string) => string | undefined
  /** An ending came whose opening never did. Nothing can be recorded of it. */
  readonly onUnknown: () => void
  /** Reading an exchange threw; one minimal record was made of it. */
  readonly onFailure: (error: unknown) => void
}

interface Open<Reading> {
  readonly opening: Opening
  reading: Reading | undefined
}

export interface Unpacker {
  unpack(packed: Packed): Batch
  /** Of the requests that are open. */
  openings(): readonly Opening[]
}

/** Every request that ended is one exchange in the batch, also when reading it throws. */
export function createUnpacker<Reading>(options: UnpackOptions<Reading>): Unpacker {
  const { readRequest, conclude, nameOf, onUnknown, onFailure } = options
  const open = new Map<string, Open<Reading>>()

  function read(opening: Opening, body: Uint8Array | undefined): Reading | undefined {
    try {
      return readRequest(opening, body)
    } catch (error) {
      onFailure(error)
      return undefined
    }
  }

  function finish({ opening, reading }: Open<Reading>, ending: Ending, requestBody?: Uint8Array, responseBody?: Uint8Array): Exchange {
    try {
      // A body that comes with the ending is newer than what was read: the request was sent anew.
      const request = requestBody === undefined ? reading : undefined
      return conclude(opening, ending, request ?? readRequest(opening, requestBody), responseBody)
    } catch (error) {
      onFailure(error)
      return minimalExchange(opening, ending)
    }
  }

  /** Where a caller enters this thread, so that every record has its readable name. */
  function named<Part extends { readonly caller?: string | undefined }>(part: Part): Part {
    const name = part.caller === undefined ? undefined : nameOf(part.caller)
    return name === undefined ? part : { ...part, caller: name }
  }

  function unpack({ requests, ended, bytes, ...packed }: Packed): Batch {
    const opened = packed.opened.map(named)
    const slice = (part: Slice | undefined) => (part === undefined ? undefined : bytes.subarray(part[0], part[0] + part[1]))
    for (const opening of opened) open.set(opening.id, { opening, reading: undefined })
    for (const { id, body } of requests) {
      const known = open.get(id)
      if (known !== undefined) known.reading = read(known.opening, slice(body))
    }
    const exchanges: Exchange[] = []
    for (const { opening, ending, requestBody, responseBody } of ended) {
      const known = open.get(ending.id) ?? (opening === undefined ? undefined : { opening: named(opening), reading: undefined })
      open.delete(ending.id)
      if (known === undefined) onUnknown()
      else exchanges.push(finish(known, named(ending), slice(requestBody), slice(responseBody)))
    }
    return { opened, ended: exchanges }
  }

  return { unpack, openings: () => [...open.values()].map(({ opening }) => opening) }
}

/** What is known without looking into any body. */
function minimalExchange(opening: Opening, ending: Ending): Exchange {
  return {
    opening,
    ending,
    endReason: endReasonOf(ending, undefined),
    inference: false,
    caller: ending.caller ?? opening.caller,
    errorType: errorTypeOf(ending, undefined),
    notes: [...new Set([...ending.notes, 'observer_failed'])],
  }
}
