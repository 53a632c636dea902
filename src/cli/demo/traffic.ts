/** The demo's clients: they send each request once, then repeat at a pace that a person can follow. */
import { setTimeout } from 'node:timers/promises'
import type { DemoRequest, Parts } from './parts.ts'

export interface Traffic {
  readonly sent: number
  /** Every kind of request has been answered once. */
  readonly firstRound: Promise<void>
  /** Stops sending, and resolves when every response has arrived. */
  stop(): Promise<void>
}

/** Clients at a time, and how long each pauses between two requests, in milliseconds: on average half of the longest. */
const clients = 6
const pauseMsMax = 1200
const faultyShare = 0.2
/** Pause in the first round: short, so that the round is complete before somebody looks. */
const firstRoundPauseMs = 20

/** API keys of three teams; a request's position in the list decides which it uses. */
const keys = ['demo-search', 'demo-support', 'demo-batch']

export interface TrafficOptions {
  readonly url: string
  readonly requests: Parts['requests']
  readonly send: Parts['send']
  /** Numbers in [0, 1). */
  readonly random: () => number
}

export function startTraffic({ url, requests, send, random }: TrafficOptions): Traffic {
  let sent = 0
  let stopped = false
  const waiting = [...requests.good(), ...requests.faulty()]
  const firstRound = Promise.withResolvers<void>()
  /** Requests of the first round without a response so far. */
  let inFirst = waiting.length
  const pick = (): DemoRequest | undefined => {
    const list = random() < faultyShare ? requests.faulty() : requests.good()
    return list[Math.floor(random() * list.length)]
  }
  const client = async () => {
    while (!stopped) {
      const inFirstRound = waiting.length > 0
      const request = waiting.shift() ?? pick()
      if (request === undefined) return
      await send(url, request, keys[sent++ % keys.length] as string)
      if (inFirstRound && --inFirst === 0) firstRound.resolve()
      if (!stopped) await setTimeout(inFirstRound ? firstRoundPauseMs : random() * pauseMsMax)
    }
  }
  const all = Promise.all(Array.from({ length: clients }, client))
  return {
    get sent() {
      return sent
    },
    firstRound: firstRound.promise,
    async stop() {
      stopped = true
      await all
    },
  }
}
