/** A stream may be open for hours, and prompts are large: once an answer has begun, nothing on the proxy path holds its request's body. */
import { expect, it } from 'vitest'
import type { Editor } from '../../src/proxy/edit.ts'
import { collectGarbage } from '../fuzz/memory.ts'
import { rawClient, rawUpstream, startProxy, until } from './harness.ts'

const bodyBytes = 40_000

it.each(['as it came', 'edited'])('a request that was sent %s is let go when its answer begins', async (how) => {
  const bodies: WeakRef<object>[] = []
  const editor: Editor = {
    reads: () => ({
      push: () => true,
      edit(body) {
        const edited = [...body, Buffer.alloc(bodyBytes, ' ')]
        for (const piece of edited) bodies.push(new WeakRef(piece))
        return {
          body: edited,
          judge: () => 'go on',
          holds: () => false,
          first: () => 'fine',
          accepted: () => undefined,
          broken: () => undefined,
          judgedAgain: () => undefined,
          filter: () => undefined,
        }
      },
    }),
  }
  const upstream = await rawUpstream(() => undefined)
  const proxy = await startProxy(upstream.url, {
    ...(how === 'edited' ? { editor } : {}),
    observe: (opening, record) => {
      const observer = record(opening)
      return { ...observer, requestData: (chunk) => void bodies.push(new WeakRef(chunk)) }
    },
  })
  const client = rawClient(proxy.port, `POST / HTTP/1.1\r\nHost: me\r\nContent-Length: ${bodyBytes}\r\n\r\n${'a'.repeat(bodyBytes)}`)
  await until(() => (upstream.connections[0]?.bytesRead ?? 0) > bodyBytes)
  const alive = () => {
    collectGarbage()
    return bodies.filter((body) => body.deref() !== undefined).length
  }
  expect(bodies.length).toBeGreaterThan(0)
  if (how === 'edited') expect(alive()).toBe(bodies.length) // it may have to be sent again
  upstream.connections[0]?.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n')
  await client.until((text) => text.includes('data: 1\n\n'))
  await until(() => alive() === 0)
})
