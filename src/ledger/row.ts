/** What the store writes: rows that others have made. It does not know what is in them. */

export type SqlValue = string | number | null

export interface Column {
  readonly name: string
  readonly type: 'TEXT' | 'INTEGER' | 'REAL'
}

/** The table of requests: columns known when one starts, and those known when it has ended. */
export interface RowShape {
  readonly start: readonly Column[]
  readonly end: readonly Column[]
}

/** As many values as there are start columns, or as there are columns. */
export type RowValues = readonly SqlValue[]

/** A row as SQLite gives it, by column name. */
export type LedgerRow = Readonly<Record<string, unknown>>
