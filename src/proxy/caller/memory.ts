/**
 * A table that holds what was lately used: keyed by what a client sent, it would grow without end. Two halves, of which the older is let go
 * whole: to find the oldest entry of one Map, it steps over every entry that was deleted before.
 */
export interface Memory<Value> {
  get(key: string): Value | undefined
  set(key: string, value: Value): void
}

/** Twice as many at most, of at most 4,096 characters each: 16 MB if every client sent the longest. */
const halfMax = 2048
const keyCharsMax = 4096

export function createMemory<Value>(): Memory<Value> {
  let young = new Map<string, Value>()
  let old = new Map<string, Value>()

  function keep(key: string, value: Value): void {
    if (young.size >= halfMax) {
      old = young
      young = new Map()
    }
    young.set(key, value)
  }

  return {
    get(key) {
      const found = young.get(key)
      if (found !== undefined) return found
      const older = old.get(key)
      if (older !== undefined) keep(key, older)
      return older
    },
    set(key, value) {
      if (key.length <= keyCharsMax) keep(key, value)
    },
  }
}
