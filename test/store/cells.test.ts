import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openDatabase } from '../../src/ledger/file.ts'
import { type Cell, type Cells, createCells } from '../../src/ledger/rollups/cells.ts'
import { grain, part } from '../../src/ledger/rollups/grains.ts'
import { addSketch, createSketchSum, encodeSketch } from '../../src/ledger/rollups/sketch.ts'
import { ledgerShape } from '../../src/sinks/ledger.ts'
import { folder } from './harness.ts'

/** A request in that cell: the first sum counts them. */
function count(cell: Cell): void {
  cell.sums[0] = (cell.sums[0] ?? 0) + 1
  cell.firstAt = cell.lastAt = 1
  for (const sketch of cell.sketches) sketch.set(7, (sketch.get(7) ?? 0) + 1)
}

/** Writes as a transaction does, and then lets go of what need not stay in memory. */
function commit(cells: Cells): void {
  cells.write()
  cells.trim()
}

describe('cells', () => {
  it('that memory let go of are read again, of earlier minutes and of the last one', () => {
    const database = openDatabase({ path: join(folder(), 'ledger.db'), shape: ledgerShape })
    const cells = createCells(database)
    for (let round = 0; round < 3; round++) {
      for (const [minute, keys] of [
        [100, 3000],
        [101, 3000],
        [102, 9000],
        [103, 10],
      ] as const) {
        for (let key = 0; key < keys; key++) count(cells.find(grain.minute, minute, key, part.both))
        for (let key = 0; key < 2000; key++) count(cells.find(grain.hour.all, 60, key, part.started))
        commit(cells)
      }
    }
    const read = createCells(database)
    const found = (one: 0 | 1) =>
      read.read(one, 0, 0, 1000, 100_000).map(({ period, sums, sketches }) => [period, sums[0], sketches[2]?.get(7)])
    expect(found(grain.minute).length).toBe(15_010)
    expect(found(grain.minute).filter(([, requests, sketched]) => requests !== 3 || sketched !== 3)).toEqual([])
    expect(found(grain.hour.all).length).toBe(2000)
    expect(found(grain.hour.all).filter(([, requests, sketched]) => requests !== 12 || sketched !== 12)).toEqual([])
    database.close()
  })
})

describe('a sketch', () => {
  const counts = [
    [[-349, 1]],
    [
      [581, 3],
      [-349, 127],
      [0, 128],
      [3071, 2 ** 40],
    ],
    Array.from({ length: 60 }, (_, index) => [(index * 37) % 61, index + 1]),
  ] as [number, number][][]

  it.each(counts.map((pairs) => [pairs.length, new Map(pairs)] as const))('of %d buckets is the same when it is read', (_, buckets) => {
    const bytes = encodeSketch(buckets) as Uint8Array
    const again = new Map<number, number>()
    addSketch(again, bytes)
    expect(again).toEqual(buckets)
    const sum = createSketchSum()
    sum.add(bytes)
    sum.add(bytes)
    expect(sum.buckets()).toEqual(new Map([...buckets].map(([bucket, each]) => [bucket, each * 2])))
  })

  it('that a version before 10 wrote has its buckets as they are, in any order', () => {
    const buckets = new Map<number, number>()
    addSketch(buckets, Uint8Array.from([0xe6, 0x0a, 0x05, 0xc2, 0x0d, 0x01, 0xe6, 0x0a, 0x80, 0x01]))
    expect(buckets).toEqual(
      new Map([
        [0x66 + 10 * 128 - 1024, 5 + 128],
        [0x42 + 13 * 128 - 1024, 1],
      ]),
    )
  })

  it('of nothing is nothing', () => {
    expect(encodeSketch(new Map())).toBeNull()
  })
})
