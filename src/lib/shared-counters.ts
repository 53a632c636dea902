/** Numbers that both threads see: one shared `Int32Array`, written with `Atomics`. Cells are 32 bits wide and wrap around. */

/** Counters that the proxying thread increments and the recorder reports. Indices into one shared Int32Array; see `Cell`. */
export const Cell = {
  /** Requests open now. */
  open: 0,
  /** Non-HTTP input, answered 400 or 431 before it became a request. */
  malformed: 1,
  /** Observers that threw and were switched off for their exchange. */
  observerFailed: 2,
  /** Exchanges dropped because the recorder was too far behind. */
  dropped: 3,
  /** Rows that the recorder has taken and not yet written. */
  rowsWaiting: 4,
  /** Connections that were refused, closed or not made because file descriptors were scarce. */
  withoutDescriptor: 5,
  /** Recorder threads started because another had died. */
  recorderRestarts: 6,
  /** Exchanges given up because recorders died on them. */
  lostWithRecorder: 7,
  /** Requests whose token did not verify, or had no claim that names a caller. */
  callersUnverified: 8,
  /** Requests whose token was not verified, because too many verifications were running. */
  callersUnread: 9,
  /** Endings that the recorder has not recorded yet. */
  unrecorded: 10,
  /** Connections that were closed because too many requests waited behind others. */
  pipelineOverflow: 11,
  /** Requests in which usage was not asked for: the body was too long, or too much was held of all bodies. */
  injectionSkippedSize: 12,
  injectionSkippedBudget: 13,
  /** Clients that stopped amid their body, or stopped reading, and were waited for no longer. */
  silentBodies: 14,
  silentReaders: 15,
  /** First cell of the chunk-overhead histogram: one cell per bucket of `overheadBucketsMicros` in the catalog, and one more for +Inf. */
  chunkOverhead: 16,
  /** Reloads of the configuration, by result. */
  reloadsApplied: 48,
  reloadsUnchanged: 49,
  reloadsRefused: 50,
  /** When the settings in effect were read, in seconds since the epoch. */
  configReadAt: 51,
  /** 1 while the last reload was refused. */
  configRefused: 53,
  /** HTTP/2 connections that were closed because their client flooded them or broke the protocol. */
  http2Broken: 54,
  /** Columns of the terminal that standard output is; 0 when it is none. */
  terminalColumns: 52,
  /** Handshakes of clients that failed, and those that failed for want of a certificate that the CA of clients signed. */
  handshakesFailed: 60,
  clientsWithoutCertificate: 61,
  /** Times that changed certificates were taken into use, or could not be. */
  certificatesRead: 62,
  certificatesRefused: 63,
} as const

/** Cells in the shared array. */
export const cellCount = 64

/** Shows the recorder, which has no stream of its own, how wide the terminal is. Gives what stops it. */
export function watchTerminal(stdout: NodeJS.WriteStream, cells: Int32Array): () => void {
  if (!stdout.isTTY) return () => undefined
  const show = () => void Atomics.store(cells, Cell.terminalColumns, stdout.columns || 80)
  show()
  stdout.on('resize', show)
  return () => void stdout.off('resize', show)
}
