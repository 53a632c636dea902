/**
 * Ids of responses whose usage has been counted: one that was made in the background is read back any number of times, and counts once. What
 * is remembered is bounded, and forgotten at a restart.
 */
export type FirstSight = (id: string) => boolean

/** Two generations of so many. */
const idsMax = 4096

export function createFirstSight(): FirstSight {
  let recent = new Set<string>()
  let older = new Set<string>()
  return (id) => {
    if (recent.has(id) || older.has(id)) return false
    if (recent.size >= idsMax) {
      older = recent
      recent = new Set()
    }
    recent.add(id)
    return true
  }
}
