import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { exchangeOf, openingOf } from '../sinks/exchange-of.ts'
import { copied, folder, id, open } from './harness.ts'
import { rows } from './rows.ts'

const whole = (index: number) => exchangeOf({ opening: { id: id(index) } })
const found = (path: string) => rows(path, 'SELECT id, end_reason FROM exchanges ORDER BY id')
const closed = (...indices: number[]) => indices.map((index) => ({ id: id(index), end_reason: 'completed' }))
const sides = ['', '-wal', '-shm', '-lock']

/** Exported up to row 2 of three that ended, with one request open. */
function begun() {
  const opened = open(join(folder(), 'in', 'ledger.db'), { lookMs: 0, retryMs: 1 })
  const { store, ledger, meter, path } = opened
  store.queue.begin('traces')
  store.queue.onLost(() => ledger.record({ opened: [openingOf({ id: id(4) })], ended: [] }))
  meter.counter('tokenweir.requests', { 'http.route': 'default' }).add(3)
  ledger.record({ opened: [openingOf({ id: id(4) })], ended: [1, 2, 3].map(whole) })
  store.commit()
  store.queue.advance('traces', 2)
  store.remember('log_mark', 3)
  store.commit()
  const lost = () =>
    meter.collect().flatMap((family) => {
      if (!('sums' in family) || family.name !== 'tokenweir.ledger.lost') return []
      return family.sums.filter(({ value }) => value > 0).map(({ labels, value }) => [labels['reason'], value])
    })
  return { ...opened, folder: dirname(path), lost }
}

describe('a ledger that is lost while it is in use', () => {
  it.each<readonly [string, (path: string) => void, string]>([
    ['removed', (path) => rmSync(path), 'removed'],
    ['removed with all that is beside it', (path) => sides.forEach((side) => void rmSync(path + side, { force: true })), 'removed'],
    ['removed with its folder', (path) => rmSync(dirname(path), { recursive: true }), 'removed'],
    ['overwritten by another program', (path) => writeFileSync(path, 'these are notes\n'.repeat(5000)), 'overwritten'],
    ['cut to nothing', (path) => truncateSync(path), 'overwritten'],
  ])('is begun anew when it is %s: nothing from then on is lost', (_how, lose, reason) => {
    const { path, store, ledger, meter, lines, lost } = begun()
    const instance = store.instanceId()
    lose(path)
    ledger.record({ opened: [], ended: [whole(5)] })
    expect(store.commit()).toBe(true)
    expect(found(path)).toEqual([{ id: id(4), end_reason: null }, ...closed(5)])
    ledger.record({ opened: [], ended: [whole(4)] })
    store.commit()
    expect(found(path)).toEqual(closed(4, 5))
    expect(rows(path, "SELECT key, value FROM meta WHERE key IN ('instance_id', 'exported_traces', 'log_mark') ORDER BY key")).toEqual([
      { key: 'exported_traces', value: 0 },
      { key: 'instance_id', value: instance },
      { key: 'log_mark', value: 0 },
    ])
    expect(rows(path, "SELECT value FROM series WHERE name = 'tokenweir.requests'")).toEqual([{ value: 3 }])
    expect([lost(), lines.length, store.problems().length, meter.total('tokenweir.ledger.failures')]).toEqual([[[reason, 1]], 1, 1, 0])
    expect(() => open(path)).toThrow('is in use by another tokenweir')
    // What a kill would leave is whole: the log belongs to this file.
    expect(found(copied(path))).toEqual(closed(4, 5))
    expect(store.close()).toBe(3)
    expect(lines[1]).toBe('3 rows of this run are in no ledger any more: its file was lost while it was in use (see above).')
    expect(found(path)).toEqual(closed(4, 5))
  })

  it.each<readonly [string, (path: string) => string]>([
    [
      'renamed',
      (path) => {
        renameSync(path, `${path}.1`)
        return `${path}.1`
      },
    ],
    [
      'moved with its folder',
      (path) => {
        renameSync(dirname(path), `${dirname(path)}-2`)
        return path.replace(/in\/ledger\.db$/, 'in-2/ledger.db')
      },
    ],
  ])('keeps its rows where it is now when it is %s, and a new one is begun', (_how, move) => {
    const { path, store, ledger, lines, lost } = begun()
    const moved = move(path)
    ledger.record({ opened: [], ended: [whole(5)] })
    store.commit()
    expect(found(path)).toEqual([{ id: id(4), end_reason: null }, ...closed(5)])
    expect(store.close()).toBe(0)
    expect(found(moved)).toEqual([...closed(1, 2, 3), { id: id(4), end_reason: null }])
    expect([lost(), lines]).toEqual([
      [['moved', 1]],
      [
        `The ledger ${path} is no longer there: it was renamed or moved, or its disk is gone; its rows are in it, wherever it is now. A new one is begun. Stop tokenweir before you touch the file.`,
      ],
    ])
  })

  it('goes on with an earlier state of itself that takes its place, with its marks and the counts of this run', () => {
    const { path, store, ledger, meter, lost, folder } = begun()
    const backup = copied(path)
    meter.counter('tokenweir.requests', { 'http.route': 'default' }).add(1)
    ledger.record({ opened: [], ended: [whole(5)] })
    store.commit()
    copyFileSync(backup, join(folder, 'restored'))
    copyFileSync(`${backup}-wal`, join(folder, 'restored-wal'))
    rows(join(folder, 'restored'), 'SELECT 1 FROM meta')
    renameSync(join(folder, 'restored-wal'), `${path}-wal`)
    renameSync(join(folder, 'restored'), path)
    ledger.record({ opened: [], ended: [whole(6)] })
    store.commit()
    expect(found(path)).toEqual([...closed(1, 2, 3), { id: id(4), end_reason: null }, ...closed(6)])
    expect(rows(path, "SELECT value FROM meta WHERE key = 'exported_traces'")).toEqual([{ value: 2 }])
    expect(rows(path, "SELECT value FROM series WHERE name = 'tokenweir.requests'")).toEqual([{ value: 4 }])
    expect(lost()).toEqual([['replaced', 1]])
  })

  it('touches no file of another program that takes its place, and goes on when that is away', async () => {
    const { path, store, ledger, lines } = begun()
    rmSync(path)
    writeFileSync(`${path}-new`, 'these are notes')
    renameSync(`${path}-new`, path)
    ledger.record({ opened: [], ended: [whole(5)] })
    expect(store.commit()).toBe(false)
    expect(readFileSync(path, 'utf8')).toBe('these are notes')
    expect(lines[1]).toMatch(
      /ledger\.db is no SQLite file, no ledger of tokenweir, and was left as it is\. .* Rows wait, and are tried again\.$/,
    )
    expect(store.problems()[0]).toMatch(/^ledger\.db is no SQLite file, .* 2 rows wait in memory\.$/)
    rmSync(path)
    await expect.poll(store.isWritable).toBe(true)
    expect(found(path)).toEqual([{ id: id(4), end_reason: null }, ...closed(5)])
  })

  it('moves the ledger of another tokenweir aside that takes its place', () => {
    const { path, store, ledger, folder: place } = begun()
    const other = open(join(folder(), 'other.db'))
    other.ledger.record({ opened: [], ended: [whole(9)] })
    other.store.close()
    rmSync(path)
    renameSync(other.path, path)
    ledger.record({ opened: [], ended: [whole(5)] })
    store.commit()
    expect(found(path)).toEqual([{ id: id(4), end_reason: null }, ...closed(5)])
    const [aside = ''] = readdirSync(place).filter((name) => /aside-\w+$/.test(name))
    expect(found(join(place, aside))).toEqual(closed(9))
  })

  it('is noticed without any traffic, and at the stop', async () => {
    const { path, store, lost } = begun()
    rmSync(path)
    await expect.poll(lost).toEqual([['removed', 1]])
    expect(existsSync(path)).toBe(true)
    rmSync(path)
    expect(store.close()).toBe(3)
    expect(found(path)).toEqual([{ id: id(4), end_reason: null }])
  })

  it('loses nothing when only its log is removed', () => {
    const { path, store, ledger, lines, lost } = begun()
    store.queue.onOpen(() => lines.length)
    rmSync(`${path}-wal`)
    ledger.record({ opened: [], ended: [whole(5)] })
    store.commit()
    const all = [...closed(1, 2, 3), { id: id(4), end_reason: null }, ...closed(5)]
    expect(found(copied(path))).toEqual(all)
    expect([lost(), lines, store.queue.mark('traces')]).toEqual([
      [],
      [
        `The -wal or -shm of the ledger ${path} was removed while it was in use; nothing is lost. Stop tokenweir before you touch the file.`,
      ],
      2,
    ])
    expect(store.close()).toBe(0)
    expect(found(path)).toEqual(all)
  })

  it('waits for a folder in which it may write again', async () => {
    const { path, store, ledger, folder } = begun()
    rmSync(folder, { recursive: true })
    writeFileSync(folder, 'in the way')
    ledger.record({ opened: [], ended: [whole(5)] })
    expect(store.commit()).toBe(false)
    expect(store.problems().join(' ')).not.toContain(folder)
    rmSync(folder)
    mkdirSync(folder)
    await expect.poll(store.isWritable).toBe(true)
    expect(found(path)).toEqual([{ id: id(4), end_reason: null }, ...closed(5)])
  })
})
