type Value = string | number | undefined

/** Cells by several values, always as many: in turn, because a text made of all takes twice as long to look up. */
export interface Cells<Cell> {
  get(values: readonly Value[]): Cell | undefined
  set(values: readonly Value[], cell: Cell): void
  size(): number
}

type Level = Map<Value, unknown>

export function createCells<Cell>(): Cells<Cell> {
  const first: Level = new Map()
  let size = 0
  return {
    get(values) {
      let found: unknown = first
      for (const value of values) {
        found = (found as Level).get(value)
        if (found === undefined) return undefined
      }
      return found as Cell
    },
    set(values, cell) {
      let level = first
      for (const value of values.slice(0, -1)) {
        const next = (level.get(value) as Level | undefined) ?? new Map()
        level.set(value, next)
        level = next
      }
      if (!level.has(values.at(-1))) size++
      level.set(values.at(-1), cell)
    },
    size: () => size,
  }
}

/** The cell of these values, made with its first use. */
export function cellOf<Cell>(cells: Cells<Cell>, values: readonly Value[], make: () => Cell): Cell {
  const found = cells.get(values)
  if (found !== undefined) return found
  const made = make()
  cells.set(values, made)
  return made
}
