/** The ledger's file and the disk below it. */
import { accessSync, closeSync, constants, fsyncSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Config } from '../../config/config.ts'
import { foreignKind } from '../../ledger/header.ts'
import { schemaVersion } from '../../ledger/migrations.ts'
import { adminUrl } from '../admin-url.ts'
import { type Check, failed, ok, skipped, warned } from '../checks.ts'
import { otherSidecar } from '../instance.ts'

const mebibyte = 2 ** 20
/** A larger file takes minutes to be read whole. */
const checkedBytesMax = 1024 * mebibyte

export async function examineLedger(config: Config, isRunning: boolean): Promise<Check[]> {
  const { ledger: path } = config
  const other = isRunning ? await otherSidecar(adminUrl(config), path) : undefined
  return [
    examineFile(path, isRunning),
    ...(other === undefined ? [] : [warned('ledger file', other, 'Name the ledger of that sidecar with --ledger FILE.')]),
  ]
}

function examineFile(path: string, isRunning: boolean): Check {
  const name = 'ledger'
  const size = statSync(path, { throwIfNoEntry: false })?.size
  if (size === undefined) {
    return isRunning
      ? failed(
          name,
          `The sidecar runs, and there is no file ${path} here.`,
          'Name its ledger with --ledger FILE; of a container, run doctor inside it.',
        )
      : skipped(name, `${path} is not there yet: the first start makes it`)
  }
  const foreign = foreignKind(path)
  if (foreign !== undefined)
    return failed(name, `${path} is ${foreign}.`, 'Name another file with --ledger FILE: this one is left as it is.')
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: 5000 })
    const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
    if (version > schemaVersion) {
      return failed(
        name,
        `${path} has version ${version}, and this tokenweir knows ${schemaVersion}.`,
        'Install the tokenweir that made it, or a later one.',
      )
    }
    const told = `${path}: version ${version}${version < schemaVersion ? ` (brought to ${schemaVersion} at the next start)` : ''}, ${inMebibytes(size)}`
    if (size > checkedBytesMax) return ok(name, `${told}; too large for a quick check here: sqlite3 FILE 'PRAGMA quick_check'`)
    const [found] = Object.values(database.prepare('PRAGMA quick_check(1)').get() ?? {})
    return found === 'ok'
      ? ok(name, `${told}, quick check passed`)
      : failed(name, `${told}: the quick check finds ${String(found)}.`, 'Keep a copy; docs/ledger.md says what of it can be saved.')
  } catch (error) {
    return failed(
      name,
      `${path} cannot be read: ${(error as Error).message}.`,
      'Give this user read access to it and its folder. A damaged one is moved aside at the next start.',
    )
  } finally {
    database?.close()
  }
}

const inMebibytes = (bytes: number) => `${(bytes / mebibyte).toFixed(1)} MiB`

const freeBytesMin = 100 * mebibyte
const freeBytesFew = 1024 * mebibyte
const writes = 10
const writtenBytes = 65_536
const slowMs = 100

/** Free space, and how long a small write takes to be on the disk: what a commit of the ledger waits for. */
export function examineDisk(ledger: string): Check[] {
  const folder = existing(dirname(resolve(ledger)))
  const { bavail, bsize } = statfsSync(folder)
  const free = bavail * bsize
  const told = `${inMebibytes(free)} free in the folder of the ledger`
  const mend = 'Make room, or lower retention.bytes and retention.days.'
  const space = free < freeBytesMin ? failed('disk', told, mend) : free < freeBytesFew ? warned('disk', told, mend) : ok('disk', told)
  return [space, speed(folder)]
}

/** The folder, or the nearest one above it that is there: the start makes the others. */
function existing(folder: string): string {
  return statSync(folder, { throwIfNoEntry: false }) === undefined ? existing(dirname(folder)) : folder
}

function speed(folder: string): Check {
  const name = 'disk speed'
  const path = join(folder, `.tokenweir-doctor-${process.pid}`)
  try {
    accessSync(folder, constants.W_OK)
    const file = openSync(path, 'wx')
    try {
      const took = Array.from({ length: writes }, () => timed(file)).sort((a, b) => a - b)
      const median = took[writes / 2] as number
      const told = `a write of 64 KiB is on the disk after ${median.toFixed(1)} ms (median of ${writes})`
      return median > slowMs ? warned(name, told, 'Put the ledger on a faster disk: commits wait for it, requests do not.') : ok(name, told)
    } finally {
      closeSync(file)
      rmSync(path)
    }
  } catch (error) {
    return failed(
      name,
      `This user cannot write in ${folder} (${(error as NodeJS.ErrnoException).code}).`,
      "Give the sidecar's user write access to the ledger's folder.",
    )
  }
}

function timed(file: number): number {
  const begun = performance.now()
  writeSync(file, Buffer.alloc(writtenBytes, 1))
  fsyncSync(file)
  return performance.now() - begun
}
