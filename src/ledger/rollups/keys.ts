/** What cells are told apart by, as numbers: each combination is one row of `rollup_keys`. */
import type { DatabaseSync } from 'node:sqlite'
import type { LedgerRow } from '../row.ts'
import { dayMs, minuteMs, type View, views } from './grains.ts'
import { type KeyValues, keyColumns } from './measures.ts'

/** In the ledger; a combination beyond them keeps its provider, route and outcome, and is `other` in all else. */
export const keysUsualMax = 200_000
/** Of these, for requests that failed: what they name need not exist. */
const failedShare = 0.5
/** Of one combination. */
const charactersMax = 2000
const otherCharactersMax = 100
/** Remembered; more begin anew. */
const rememberedMax = 20_000

const otherKey = 'other'

/** The ids of a combination: its own, and those of what it is called in the other views. */
export type Key = Readonly<Record<View, number>>

export interface Keys {
  /** `minute`: when it is used. Part of a transaction. */
  find(values: KeyValues, minute: number): Key
  /** Of a key that is in the table. */
  byId(id: number): Key
  /** Removes some that were last used before that moment; how many. */
  expire(beforeMs: number, limit: number): number
  /** The transaction failed, or rows went: nothing that is remembered is right. */
  forget(): void
}

interface Remembered {
  readonly key: Key
  /** UTC day of its last use. */
  used: number
}

export interface KeysOptions {
  readonly database: DatabaseSync
  readonly keysMax: number
  readonly onOverflow: () => void
}

const indexOf = (name: (typeof keyColumns)[number]) => keyColumns.indexOf(name)
const callers = [indexOf('caller'), indexOf('labels')]
const usage = [indexOf('usage_outcome'), indexOf('usage_reason')]
/** What a view does not tell apart is NULL. */
const valueIn: Readonly<Record<View, (value: string | null, index: number) => string | null>> = {
  all: (value) => value,
  withoutCallers: (value, index) => (callers.includes(index) ? null : value),
  callers: (value, index) => (callers.includes(index) || usage.includes(index) ? value : null),
  providers: (value, index) => (index === indexOf('provider') || usage.includes(index) ? value : null),
}
type OtherView = Exclude<View, 'all'>
const neverUsed = -1
const minutesPerDay = dayMs / minuteMs

export function createKeys({ database, keysMax, onOverflow }: KeysOptions): Keys {
  const select = database.prepare('SELECT * FROM rollup_keys WHERE name = ?')
  const selectId = database.prepare('SELECT * FROM rollup_keys WHERE id = ?')
  const insert = database.prepare(
    `INSERT INTO rollup_keys (name, used, without_callers, callers, providers, ${keyColumns.join(', ')})
     VALUES (?, ?, ?, ?, ?, ${keyColumns.map(() => '?').join(', ')})`,
  )
  const setCallers = database.prepare('UPDATE rollup_keys SET callers = ? WHERE id = ?')
  const use = database.prepare('UPDATE rollup_keys SET used = max(used, ?) WHERE id IN (?, ?, ?, ?)')
  const count = database.prepare('SELECT count(*) AS count FROM rollup_keys')
  const remove = database.prepare('DELETE FROM rollup_keys WHERE id IN (SELECT id FROM rollup_keys WHERE used < ? LIMIT ?)')
  let byValues = new Map<string, Remembered>()
  let byId = new Map<number, Key>()
  let size: number | undefined

  const nameOf = (values: KeyValues, view: View) => JSON.stringify(view === 'all' ? values : [view, ...values])

  function inView(values: KeyValues, view: OtherView, day: number): number {
    const those = values.map(valueIn[view])
    const name = nameOf(those, view)
    return Number(select.get(name)?.['id'] ?? add(name, day, [null, null, null], those))
  }

  function add(name: string, day: number, others: readonly (number | null)[], values: KeyValues): number {
    size = sizeNow() + 1
    return Number(insert.run(name, day, ...others, ...values).lastInsertRowid)
  }

  function keyOf(row: LedgerRow): Key {
    const all = Number(row['id'])
    const callers = row['callers'] === null ? addCallers(all, row) : Number(row['callers'])
    return { all, withoutCallers: Number(row['without_callers']), callers, providers: Number(row['providers']) }
  }

  /** An earlier version did not have that view. */
  function addCallers(id: number, row: LedgerRow): number {
    const values = keyColumns.map((name) => row[name] as string | null)
    const callers = inView(values, 'callers', Number(row['used']))
    setCallers.run(callers, id)
    return callers
  }

  function sizeNow(): number {
    return (size ??= Number(count.get()?.['count']))
  }

  /** Undefined when there is no room for it. */
  function load(name: string, values: KeyValues, day: number): Remembered | undefined {
    const row = select.get(name)
    if (row !== undefined) return { key: keyOf(row), used: Number(row['used']) }
    const isRoom = sizeNow() < keysMax * (values[indexOf('error_type')] === null ? 1 : failedShare) && name.length <= charactersMax
    if (!isRoom && !isOther(values)) return undefined
    const others = {
      withoutCallers: inView(values, 'withoutCallers', day),
      callers: inView(values, 'callers', day),
      providers: inView(values, 'providers', day),
    }
    return { key: { all: add(name, day, Object.values(others), values), ...others }, used: neverUsed }
  }

  function find(values: KeyValues, day: number): Key {
    const known = joined(values)
    let found = byValues.get(known)
    if (found === undefined) {
      found = load(nameOf(values, 'all'), values, day)
      if (found === undefined) {
        onOverflow()
        return find(otherOf(values), day)
      }
      if (byValues.size >= rememberedMax) byValues = new Map()
      byValues.set(known, found)
    }
    if (found.used < day) {
      use.run(day, ...views.map((view) => found.key[view]))
      found.used = day
    }
    return found.key
  }

  return {
    find: (values, minute) => find(values, Math.floor(minute / minutesPerDay)),
    byId(id) {
      let found = byId.get(id)
      if (found === undefined) {
        found = keyOf(selectId.get(id) as LedgerRow)
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
      byValues = new Map()
      byId = new Map()
      size = undefined
    },
  }
}

/** Different for different values; made faster than their name is. */
function joined(values: KeyValues): string {
  let text = ''
  for (const value of values) text += value === null ? '-' : `${value.length}:${value}`
  return text
}

/** What a client can name; the rest is configured, or a word of ours. */
const named = [indexOf('caller'), indexOf('error_type'), indexOf('model')]

function otherOf(values: KeyValues): KeyValues {
  return values.map((value, index) => {
    if (value === null || index === indexOf('labels')) return null
    return named.includes(index) || value.length > otherCharactersMax ? otherKey : value
  })
}

function isOther(values: KeyValues): boolean {
  return otherOf(values).every((value, index) => value === values[index])
}
