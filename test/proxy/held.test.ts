/** A stream may be open for hours, and prompts are large: once an answer has begun, nothing on the proxy path holds its request's body. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { expect, it } from 'vitest'
import type { Editor } from '../../src/proxy/edit.ts'
import { collectGarbage } from '../fuzz/memory.ts'
import { rawClient, rawUpstream, startProxy, until } from './harness.ts'

const bodyBytes = 40_000

it.each(['as it came', 'edited'])('a request that was sent %s is let go when its answer begins', async (how) => {
  const bodies: WeakRef<object>[] = []
  /** Whoever read the body is held no longer than the body. */
  function holding<Held extends object>(held: Held): Held {
    bodies.push(new WeakRef(held))
    return held
  }
  const editor: Editor = {
    reads: () =>
      holding({
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

it('the header fields of a response that comes are not held beside what the client was told', async () => {
  const fields: WeakRef<object>[] = []
  const onHeaders = (message: unknown) => {
    const { response } = message as { response: { headers: Buffer[] } }
    for (const field of response.headers) fields.push(new WeakRef(field))
  }
  subscribe('undici:request:headers', onHeaders)
  const upstream = await rawUpstream((_text, socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n')
  })
  const proxy = await startProxy(upstream.url)
  const client = rawClient(proxy.port, 'GET / HTTP/1.1\r\nHost: me\r\n\r\n')
  await client.until((text) => text.includes('data: 1\n\n'))
  unsubscribe('undici:request:headers', onHeaders)
  expect(fields).toHaveLength(2)
  await until(() => {
    collectGarbage()
    return fields.every((field) => field.deref() === undefined)
  })
})
