/** Clients of the demo: first each request once, then on and on at a pace that a person can follow. */
import { setTimeout } from 'node:timers/promises'
import type { DemoRequest, Parts } from './parts.ts'

export interface Traffic {
  readonly sent: number
  /** Every kind of request has been answered once. */
  readonly firstRound: Promise<void>
  /** Sends no more, and resolves when every answer has come. */
  stop(): Promise<void>
}

/** Clients at a time, and how long each pauses between two requests, in milliseconds: on average half of the longest. */
const clients = 6
const pauseMsMax = 1200
const faultyShare = 0.2
/** Of the first round: it should be over when somebody looks. */
const firstRoundPauseMs = 20

/** The keys of three teams; of each request the list decides whose it is. */
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
  /** Of the first round, what is not answered yet. */
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
