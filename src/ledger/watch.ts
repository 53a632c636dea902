/**
 * Whether the open ledger is still the file at its path. A file that was removed, renamed or replaced takes every write and shows nothing of it, and one
 * that another program wrote over shows it late.
 */
import { closeSync, fstatSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import { isLedgerHeader, sqliteHeaderBytes } from './header.ts'

/** Labels of `tokenweir.ledger.lost`. */
export type LostReason = 'removed' | 'moved' | 'replaced' | 'overwritten' | 'damaged'

/** `log`: `-wal` or `-shm` is gone; what is in them can still be written to the file. */
export type Change = 'log' | Exclude<LostReason, 'damaged'>

export interface FileWatch {
  look(): Change | undefined
  /** The open file is still somewhere. */
  isKept(): boolean
  /** Its `-wal` and `-shm` were made anew. */
  renew(): void
  /** Removes those of the open file: SQLite would play them into another one. */
  removeLog(): void
  /** Only when no connection of this process has the file open: closing it lets go of their locks, as POSIX wants it. */
  close(): void
}

interface Identity {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: bigint
  readonly mtimeNs: bigint
  readonly nlink: bigint
}

/** Some file systems make up their inode numbers anew: there the same file is one of the same size that was written at the same nanosecond. */
function isSame(known: Identity | undefined, found: Identity | undefined): boolean {
  if (known === undefined || found === undefined) return known === found
  if (known.dev === found.dev && known.ino === found.ino) return true
  return known.nlink > 0n && known.mtimeNs === found.mtimeNs && known.size === found.size
}

const identify = (path: string): Identity | undefined => statSync(path, { bigint: true, throwIfNoEntry: false })

/** Undefined where there is no file, as in memory. */
export function watchFile(path: string): FileWatch | undefined {
  const file = openedFile(path)
  if (file === undefined) return undefined
  const logs = ['-wal', '-shm'].map((suffix) => path + suffix)
  let known = logs.map(identify)
  // A file whose first page is still in its log alone has no mark of ours yet.
  let isMarked = false

  function look(fd: number): Change | undefined {
    const [own, there] = [fstatSync(fd, { bigint: true }), identify(path)]
    if (!isSame(own, there)) return there !== undefined ? 'replaced' : own.nlink === 0n ? 'removed' : 'moved'
    const header = Buffer.alloc(sqliteHeaderBytes)
    if (isLedgerHeader(header.subarray(0, readSync(fd, header, 0, sqliteHeaderBytes, 0)))) isMarked = true
    else if (isMarked) return 'overwritten'
    return logs.every((log, index) => isSame(known[index], identify(log))) ? undefined : 'log'
  }

  return {
    look() {
      try {
        return look(file)
      } catch (error) {
        // What cannot be looked at (a disk that fails, a folder that may not be read) need not be gone.
        return (error as NodeJS.ErrnoException).code === 'ENOTDIR' ? 'moved' : undefined
      }
    },
    isKept: () => fstatSync(file).nlink > 0,
    renew() {
      known = logs.map(identify)
    },
    removeLog() {
      logs.forEach((log, index) => {
        if (known[index] !== undefined && isSame(known[index], identify(log))) rmSync(log, { force: true })
      })
    },
    close: () => closeSync(file),
  }
}

function openedFile(path: string): number | undefined {
  try {
    return openSync(path, 'r')
  } catch {
    return undefined
  }
}
