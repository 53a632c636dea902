/** The order that loses nothing: stop accepting → finish within the grace → cut what is left, with records → write and export. */

export interface ShutdownSteps {
  /** Resolves when nothing is open any more. */
  readonly stopAccepting: () => Promise<void>
  /** Ends what is still open; each gets its record. */
  readonly cut: () => void
  /** Writes and exports every record. */
  readonly finish: () => Promise<void>
  /** `finish` no longer waits for export, only for what is not yet written. May be called before it. */
  readonly hurry: () => void
  /** As it is when the end begins. */
  readonly graceMs: () => number
}

/**
 * The function that stops; it resolves when every record is written. Called again, it waits neither for what is open nor for export; called
 * once more, it does nothing further.
 */
export function createShutdown({ stopAccepting, cut, finish, hurry, graceMs }: ShutdownSteps): () => Promise<void> {
  const hurried = Promise.withResolvers<void>()
  let stopping: Promise<void> | undefined
  let isHurried = false
  const stop = async () => {
    let timer: NodeJS.Timeout | undefined
    const graceOver = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs())
    })
    await Promise.race([stopAccepting(), hurried.promise, graceOver])
    clearTimeout(timer)
    cut()
    await finish()
  }
  return () => {
    if (stopping !== undefined && !isHurried) {
      isHurried = true
      hurry()
      hurried.resolve()
    }
    stopping ??= stop()
    return stopping
  }
}
