/** Traffic of every kind through the sidecar: all formats, streams without usage, failing, cut, left early. */
import { type DemoRequest, demoRequests } from '../../examples/sample-gateway/traffic.ts'

const silent: DemoRequest = {
  method: 'POST',
  path: '/v1/chat/completions',
  body: { model: 'silent-1', messages: [{ role: 'user', content: 'Hello?' }], stream: true, stream_options: { include_usage: true } },
}

/** One round: the demo's requests, and three more streams that tell no usage. */
export const round: readonly DemoRequest[] = [...demoRequests, silent, silent, silent]

/** A stream without usage of a provider, a model and a reason that no other request has together. */
export const firstOfItsKind: DemoRequest = {
  method: 'POST',
  path: '/v1/messages',
  body: { model: 'zero-2', max_tokens: 100, messages: [{ role: 'user', content: 'Hello?' }], stream: true },
}

const concurrency = 4

export async function sendAll(base: string, requests: readonly DemoRequest[]): Promise<void> {
  const waiting = [...requests]
  const worker = async () => {
    for (let request = waiting.shift(); request !== undefined; request = waiting.shift()) await send(base, request)
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

async function send(base: string, { method, path, body, leaves }: DemoRequest): Promise<void> {
  const leave = new AbortController()
  try {
    const response = await fetch(`${base}${path}`, {
      method,
      headers: { 'content-type': 'application/json', authorization: 'Bearer stack' },
      signal: leave.signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (leaves !== true) return void (await response.arrayBuffer())
    await response.body?.getReader().read()
    leave.abort()
  } catch {
    // Cut answers are part of it; the ledger says which.
  }
}
