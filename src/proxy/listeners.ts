/** Every address where clients connect, as one: they share what there is room for, and end together. */
import type { Config } from '../config/config.ts'
import { watchCertificates } from './certificates.ts'
import { placesMax } from './descriptors.ts'
import type { Forwarder } from './forwarder.ts'
import { type Listener, listen } from './listener.ts'
import { Places } from './places.ts'

export interface ListenAllOptions {
  readonly forwarder: Forwarder
  readonly cells: Int32Array
  /** Descriptors are scarce. */
  readonly lacking: () => void
  /** A sentence for the operator. */
  readonly report: (sentence: string) => void
}

export interface Listeners extends Pick<Listener, 'close' | 'destroyConnections'> {
  /** As in `Listener`, in the order of the configuration. */
  readonly ports: readonly number[]
}

/** Rejects when one of them cannot be opened; then none is. */
export async function listenAll(config: Config, { forwarder, cells, lacking, report }: ListenAllOptions): Promise<Listeners> {
  const places = new Places({ max: placesMax(), openCount: forwarder.openCount, lacking })
  const opened: Listener[] = []
  const destroyConnections = () => {
    for (const listener of opened) listener.destroyConnections()
  }
  const close = async () => void (await Promise.all(opened.map((listener) => listener.close())))
  try {
    for (const { address, tls: settings } of [{ address: config.listen, tls: config.tls }, ...config.listeners]) {
      const files = settings && { cert: settings.cert, key: settings.key, ca: settings.clientCa }
      const tls = settings && files && { settings, certificates: watchCertificates({ files, cells, report }), report }
      opened.push(await listen({ address, tls, forwarder, cells, places, headerBytesMax: config.limits.headerBytes }))
    }
  } catch (error) {
    destroyConnections()
    await close()
    throw error
  }
  return { ports: opened.map(({ port }) => port), close, destroyConnections }
}
