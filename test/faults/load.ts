/** Clients, each request with an id of its own (its span, which the ledger notes as the parent), and what each of them received. */
import { randomBytes } from 'node:crypto'
import http from 'node:http'
import { pick, type Random } from './settings.ts'
import type { Kind } from './upstream.ts'

export interface Sent {
  readonly span: string
  readonly kind: Kind
  /** The client left in the middle. */
  readonly leaves: boolean
  /** Milliseconds of `performance.now()`. */
  readonly startedAt: number
  /** When its answer began. */
  headAt?: number
  /** When its answer had been received in full. */
  wholeAt?: number
  status?: number
  failed?: string
}

export interface Options {
  readonly leavesAfterMs?: number
  readonly leavesAtHead?: boolean
  readonly content?: Buffer
}

export interface Clients {
  readonly sent: readonly Sent[]
  open(): number
  request(kind: Kind, options?: Options): Promise<Sent>
  /** So many requests a second, of these kinds, until `stop`. A slow machine gets what it can take. */
  run(perSecond: number, kinds: readonly Kind[], random: Random): { stop(): Promise<void> }
  /** Where requests go from now on. */
  aim(url: string): void
  close(): void
}

const body = Buffer.from(JSON.stringify({ model: 'made-up-1', stream: true, stream_options: { include_usage: true }, messages: [] }))
/** Requests under way at once; more are not begun. */
const openMax = 400
const tickMs = 20
/** One in so many clients leaves in the middle, where kinds are chosen by chance. */
const leavesOneIn = 25

export function createClients(firstUrl = ''): Clients {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 2048, maxFreeSockets: 2048 })
  const sent: Sent[] = []
  let url = firstUrl
  let open = 0

  function request(kind: Kind, { leavesAfterMs, leavesAtHead = false, content = body }: Options = {}): Promise<Sent> {
    const span = randomBytes(8).toString('hex')
    const one: Sent = { span, kind, leaves: leavesAfterMs !== undefined || leavesAtHead, startedAt: performance.now() }
    sent.push(one)
    open++
    return new Promise((resolve) => {
      const end = (failed?: string) => {
        if (one.wholeAt === undefined && failed !== undefined) one.failed ??= failed
        resolve(one)
      }
      const headers = { 'content-type': 'application/json', traceparent: `00-${randomBytes(16).toString('hex')}-${span}-01` }
      const outgoing = http.request(`${url}/v1/chat/completions?as=${kind}`, { method: 'POST', agent, headers }, (response) => {
        one.status = response.statusCode ?? 0
        one.headAt = performance.now()
        if (leavesAtHead) outgoing.destroy()
        response.on('data', () => undefined)
        response.on('end', () => {
          if (response.complete) one.wholeAt = performance.now()
        })
        response.on('error', (error) => end(error.message))
        response.on('close', () => end(response.complete ? undefined : 'broke off'))
      })
      outgoing.on('error', (error) => end(error.message))
      outgoing.on('close', () => {
        open--
        end('no answer')
      })
      outgoing.end(content)
      if (leavesAfterMs !== undefined) setTimeout(() => outgoing.destroy(), leavesAfterMs)
    })
  }

  return {
    sent,
    open: () => open,
    request,
    run(perSecond, kinds, random) {
      const under = new Set<Promise<Sent>>()
      let due = 0
      let last = performance.now()
      const timer = setInterval(() => {
        const now = performance.now()
        due = Math.min(due + ((now - last) / 1000) * perSecond, openMax)
        last = now
        for (; due >= 1 && open < openMax; due--) {
          const kind = pick(random, kinds)
          const leaves = kind === 'hold' || (kind === 'slow' && random() * leavesOneIn < 1)
          const promise = request(kind, leaves ? { leavesAfterMs: 20 + random() * 200 } : {})
          under.add(promise)
          void promise.then(() => under.delete(promise))
        }
      }, tickMs)
      return {
        async stop() {
          clearInterval(timer)
          await Promise.all(under)
        },
      }
    },
    aim(to) {
      url = to
    },
    close: () => agent.destroy(),
  }
}
