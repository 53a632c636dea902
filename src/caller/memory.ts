/** A table that holds the newest entries only: keyed by what a client sent, it would grow without end. */
export interface Memory<Value> {
  get(key: string): Value | undefined
  set(key: string, value: Value): void
}

/** 4,096 entries of at most 4,096 characters each: 16 MB if every client sent the longest. */
const entriesMax = 4096
const keyCharsMax = 4096

export function createMemory<Value>(): Memory<Value> {
  const entries = new Map<string, Value>()
  return {
    get: (key) => entries.get(key),
    set(key, value) {
      if (key.length > keyCharsMax) return
      if (entries.size >= entriesMax && !entries.has(key)) entries.delete(entries.keys().next().value as string)
      entries.set(key, value)
    },
  }
}
