/** Jobs whose answers are read whole: one request for comparison, and JSON at saturation. */
import { createHash } from 'node:crypto'
import { monotonicNs, requestOf } from '../fixture.ts'
import type { Result } from '../jobs.ts'
import { bounded, createTally, type JobOf, open, resultOf, spreadOf } from './connection.ts'

const graceSeconds = 15

export function fetchOnce(job: JobOf<'fetch'>): Promise<Result> {
  const tally = createTally()
  const startedNs = monotonicNs()
  const sha256 = createHash('sha256')
  const slices: Buffer[] = []
  let bytes = 0
  let status = 0
  let contentType = ''
  const work = new Promise<Result>((resolve) => {
    const done = () => {
      const fetched = { status, contentType, bytes, sha256: sha256.digest('hex') }
      const body = job.through === undefined ? {} : { body: Buffer.concat(slices).toString('utf8') }
      resolve(resultOf(tally, startedNs, { fetched: { ...fetched, ...body } }))
    }
    const connection = open(job.port, tally, done, (gotStatus, gotType) => {
      status = gotStatus
      contentType = gotType
    })
    connection.send(requestOf(job.ask, job.through), {
      body(slice) {
        sha256.update(slice)
        if (job.through !== undefined) slices.push(Buffer.from(slice))
        bytes += slice.length
      },
      end() {
        connection.close()
        done()
      },
    })
  })
  return bounded(graceSeconds, 'fetch', work)
}

/** Sends one request after the other until `untilNs`; resolves when its last answer is whole or its connection is lost. */
function worker(
  { port, through, fields }: JobOf<'json'>,
  number: number,
  tally: ReturnType<typeof createTally>,
  untilNs: number,
  answersNs: number[],
): Promise<void> {
  const more = fields?.names.map((name, index) => `${name}: ${name.slice(2)}-${(number * (index + 1)) % fields.values}`)
  const request = requestOf({ mode: 'json' }, through, more)
  return new Promise((resolve) => {
    const connection = open(port, tally, resolve)
    let sentNs = 0
    const exchange = {
      body() {},
      end(nowNs: number) {
        answersNs.push(nowNs - sentNs)
        if (nowNs < untilNs) next()
        else {
          connection.close()
          resolve()
        }
      },
    }
    const next = () => {
      sentNs = monotonicNs()
      connection.send(request, exchange)
    }
    next()
  })
}

export async function json(job: JobOf<'json'>): Promise<Result> {
  const tally = createTally()
  const startedNs = monotonicNs()
  const answersNs: number[] = []
  const untilNs = startedNs + job.seconds * 1e9
  const workers = Array.from({ length: job.concurrency }, (_, number) => worker(job, number, tally, untilNs, answersNs))
  await bounded(job.seconds + graceSeconds, 'json', Promise.all(workers))
  return resultOf(tally, startedNs, { answer: spreadOf(answersNs) })
}
