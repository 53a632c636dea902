/** The cell under a key, made with its first use. */
export function cellOf<Cell>(cells: Map<string, Cell>, key: string, make: () => Cell): Cell {
  let cell = cells.get(key)
  if (cell === undefined) cells.set(key, (cell = make()))
  return cell
}
