/** A wall clock that jumps and a disk that is slow, for one process: `shim.c`, compiled here. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Shim {
  readonly env: Readonly<Record<string, string>>
  /** Of the wall clock, in milliseconds. */
  jump(offsetMs: number): void
  /** Of each write and sync of a file of SQLite's, in microseconds. */
  slow(delayMicros: number): void
}

/** Why it cannot be had here; undefined when it can. */
export function shimMissing(): string | undefined {
  if (process.platform !== 'linux') return 'LD_PRELOAD works on Linux.'
  return spawnSync('cc', ['--version']).status === 0 ? undefined : 'There is no C compiler (cc) here.'
}

export function createShim(folder: string): Shim {
  const [library, file] = [join(folder, 'shim.so'), join(folder, 'shim.orders')]
  const source = join(import.meta.dirname, 'shim.c')
  const { status, stderr } = spawnSync('cc', ['-shared', '-fPIC', '-O2', '-o', library, source, '-ldl'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  const orders = new BigInt64Array(2)
  // In place: what is mapped is this file.
  const write = () => writeFileSync(file, orders, { flag: 'r+' })
  writeFileSync(file, orders)
  return {
    env: { LD_PRELOAD: library, TOKENWEIR_SHIM: file },
    jump(offsetMs) {
      orders[0] = BigInt(offsetMs)
      write()
    },
    slow(delayMicros) {
      orders[1] = BigInt(delayMicros)
      write()
    },
  }
}
