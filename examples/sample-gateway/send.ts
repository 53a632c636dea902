/** Sends one request of the demo's traffic and reads its answer to the end, or leaves after the first bytes. */
import type { DemoRequest } from './traffic.ts'

const answerMsMax = 30_000

/** `key`: the caller's, in the header of the API that is spoken. Never rejects: cut answers are part of the show; the ledger says which. */
export async function send(base: string, { method, path, body, leaves }: DemoRequest, key = 'demo'): Promise<void> {
  const leave = new AbortController()
  try {
    const response = await fetch(`${base}${path}`, {
      method,
      headers: {
        'content-type': 'application/json',
        ...(path === '/v1/messages' ? { 'x-api-key': key } : { authorization: `Bearer ${key}` }),
      },
      signal: AbortSignal.any([leave.signal, AbortSignal.timeout(answerMsMax)]),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (leaves === true) {
      await response.body?.getReader().read()
      leave.abort()
    } else {
      await response.arrayBuffer()
    }
  } catch {
    // As said above.
  }
}
