/** What cells are told apart by, as numbers: each combination is one row of `rollup_keys`. */
import type { DatabaseSync } from 'node:sqlite'
import { dayMs, minuteMs } from './grains.ts'
import { type KeyValues, keyColumns } from './measures.ts'

/** In the ledger; a combination beyond them keeps its provider, route and outcome, and is `other` in all else. */
export const keysUsualMax = 200_000
/** Of these, for requests that failed: what they name need not exist. */
const failedShare = 0.5
/** Of one combination. */
const charactersMax = 2000
/** Remembered; more begin anew. */
const rememberedMax = 20_000

export const otherKey = 'other'

export interface Key {
  readonly id: number
  /** The key without caller and labels; its own id where it is one. */
  readonly withoutCallers: number
}

export interface Keys {
  /** `minute`: when it is used. Part of a transaction. */
  find(values: KeyValues, minute: number): Key
  /** Of a key that is in the table. */
  withoutCallers(id: number): number
  /** Removes some that were last used before that moment; how many. */
  expire(beforeMs: number, limit: number): number
  /** The transaction failed, or rows went: nothing that is remembered is right. */
  forget(): void
}

interface Remembered extends Key {
  /** UTC day of its last use. */
  used: number
}

export interface KeysOptions {
  readonly database: DatabaseSync
  readonly keysMax: number
  readonly onOverflow: () => void
}

const [callerAt, labelsAt, errorAt, modelAt] = ['caller', 'labels', 'error_type', 'model'].map((name) =>
  keyColumns.indexOf(name as (typeof keyColumns)[number]),
) as [number, number, number, number]
const minutesPerDay = dayMs / minuteMs

export function createKeys({ database, keysMax, onOverflow }: KeysOptions): Keys {
  const select = database.prepare('SELECT id, without_callers, used FROM rollup_keys WHERE name = ?')
  const selectId = database.prepare('SELECT without_callers FROM rollup_keys WHERE id = ?')
  const insert = database.prepare(
    `INSERT INTO rollup_keys (name, without_callers, used, ${keyColumns.join(', ')}) VALUES (?, ?, ?, ${keyColumns.map(() => '?').join(', ')})`,
  )
  const use = database.prepare('UPDATE rollup_keys SET used = max(used, ?) WHERE id IN (?, ?)')
  const count = database.prepare('SELECT count(*) AS count FROM rollup_keys')
  const remove = database.prepare('DELETE FROM rollup_keys WHERE id IN (SELECT id FROM rollup_keys WHERE used < ? LIMIT ?)')
  let byName = new Map<string, Remembered>()
  let byId = new Map<number, number>()
  let size: number | undefined

  function findRow(name: string, values: KeyValues, without: () => number | null, day: number): Remembered | undefined {
    const row = select.get(name)
    if (row !== undefined) {
      const id = Number(row['id'])
      return { id, withoutCallers: Number(row['without_callers'] ?? id), used: Number(row['used']) }
    }
    size ??= Number(count.get()?.['count'])
    const isRoom = size < keysMax * (values[errorAt] === null ? 1 : failedShare) && name.length <= charactersMax
    if (!isRoom && !isOther(values)) return undefined
    const withoutCallers = without()
    const id = Number(insert.run(name, withoutCallers, day, ...values).lastInsertRowid)
    size++
    return { id, withoutCallers: withoutCallers ?? id, used: day }
  }

  function find(values: KeyValues, day: number, isNarrow: boolean): Remembered {
    const name = JSON.stringify(isNarrow ? ['', ...values] : values)
    let key = byName.get(name)
    if (key === undefined) {
      const narrow = values.map((value, index) => (index === callerAt || index === labelsAt ? null : value))
      key = findRow(name, values, () => (isNarrow ? null : find(narrow, day, true).id), day)
      if (key === undefined) {
        onOverflow()
        return find(otherOf(values), day, isNarrow)
      }
      if (byName.size >= rememberedMax) byName = new Map()
      byName.set(name, key)
    }
    if (key.used < day) {
      use.run(day, key.id, key.withoutCallers)
      key.used = day
    }
    return key
  }

  return {
    find: (values, minute) => find(values, Math.floor(minute / minutesPerDay), false),
    withoutCallers(id) {
      let found = byId.get(id)
      if (found === undefined) {
        found = Number(selectId.get(id)?.['without_callers'] ?? id)
        if (byId.size >= rememberedMax) byId = new Map()
        byId.set(id, found)
      }
      return found
    },
    expire(beforeMs, limit) {
      const changes = Number(remove.run(Math.floor(beforeMs / dayMs), limit).changes)
      if (changes > 0) this.forget()
      return changes
    },
    forget() {
      byName = new Map()
      byId = new Map()
      size = undefined
    },
  }
}

/** What is configured and what is a fixed word stays; what a client can name does not. */
function otherOf(values: KeyValues): KeyValues {
  const replaced = [callerAt, errorAt, modelAt]
  return values.map((value, index) =>
    index === labelsAt || value === null ? null : replaced.includes(index) || value.length > charactersMax / 20 ? otherKey : value,
  )
}

function isOther(values: KeyValues): boolean {
  return otherOf(values).every((value, index) => value === values[index])
}
