/** What the file itself has to remember, by key: in memory, and on disk with the next commit. */
import { randomUUID } from 'node:crypto'
import type { SqlValue } from './row.ts'
import type { Tables } from './tables.ts'

export interface Metadata {
  recall(key: string): SqlValue | undefined
  remember(key: string, value: SqlValue): void
  hasWork(): boolean
  /** Part of a transaction. */
  write(tables: Tables): void
  committed(): void
  /** What the file remembers stands above what was made up before it could be opened. */
  opened(tables: Tables): void
  /** The file is gone: all of it is written again. */
  lost(): void
}

/** `instance_id` (`service.instance.id`) lives as long as the file does. */
export function createMetadata(): Metadata {
  const values = new Map<string, SqlValue>([['instance_id', randomUUID()]])
  let changed = new Set<string>(values.keys())
  return {
    recall: (key) => values.get(key),
    remember(key, value) {
      if (values.get(key) === value) return
      values.set(key, value)
      changed.add(key)
    },
    hasWork: () => changed.size > 0,
    write(tables) {
      for (const key of changed) tables.putMeta(key, values.get(key) ?? null)
    },
    committed() {
      changed = new Set()
    },
    opened(tables) {
      for (const [key, value] of tables.meta()) {
        values.set(key, value)
        changed.delete(key)
      }
    },
    lost() {
      changed = new Set(values.keys())
    },
  }
}
