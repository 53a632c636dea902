/** The order that loses nothing: stop accepting → finish within the grace → cut what is left, with records → write and export. */

export interface ShutdownSteps {
  /** Resolves when nothing is open any more. */
  readonly stopAccepting: () => Promise<void>
  /** Ends what is still open; each gets its record. */
  readonly cut: () => void
  /** Writes and exports every record. */
  readonly finish: () => Promise<void>
  readonly graceMs: number
}

/** The function that stops; it resolves when every record is written. Called again, it no longer waits for what is open. */
export function createShutdown({ stopAccepting, cut, finish, graceMs }: ShutdownSteps): () => Promise<void> {
  let hurry: () => void = () => undefined
  const hurried = new Promise<void>((resolve) => {
    hurry = resolve
  })
  let stopping: Promise<void> | undefined
  const stop = async () => {
    let timer: NodeJS.Timeout | undefined
    const graceOver = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs)
    })
    await Promise.race([stopAccepting(), hurried, graceOver])
    clearTimeout(timer)
    cut()
    await finish()
  }
  return () => {
    if (stopping !== undefined) hurry()
    stopping ??= stop()
    return stopping
  }
}
