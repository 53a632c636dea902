/** Sends one request of the demo's traffic and reads its answer to the end, or leaves after the first bytes. */
import type { DemoRequest } from './traffic.ts'

export async function send(base: string, { method, path, body, leaves }: DemoRequest): Promise<void> {
  const leave = new AbortController()
  try {
    const response = await fetch(`${base}${path}`, {
      method,
      headers: { 'content-type': 'application/json', authorization: 'Bearer demo' },
      signal: leave.signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (leaves === true) {
      await response.body?.getReader().read()
      leave.abort()
    } else {
      await response.arrayBuffer()
    }
  } catch {
    // Cut answers are part of the show; the ledger says which.
  }
}
