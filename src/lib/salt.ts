/** The salt of the keys' names: random, made at the first start, readable by this user alone. Without it a name cannot be traced to a key. */
import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { makeFolder } from './folder.ts'

const saltBytes = 32

/** Throws with the sentence that mends it. Two processes that start at once get the same salt: the first to link its file wins. */
export function readSalt(path: string): Uint8Array {
  try {
    return existingSalt(path) ?? makeSalt(path)
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message
    throw new Error(
      `The salt file ${path} cannot be used (${reason}). Give this user access to it, or start with TOKENWEIR_CALLER=none: then callers are not told apart.`,
    )
  }
}

function existingSalt(path: string): Uint8Array | undefined {
  let text: string
  try {
    text = readFileSync(path, 'latin1')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  if (!/^[0-9a-f]{64}\n?$/.test(text)) throw new Error('it holds no salt; move it away, and a new one is made')
  return Buffer.from(text.trim(), 'hex')
}

function makeSalt(path: string): Uint8Array {
  makeFolder(dirname(path))
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, `${randomBytes(saltBytes).toString('hex')}\n`, { mode: 0o600, flag: 'wx' })
  try {
    linkSync(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(draft, { force: true })
  }
  const salt = existingSalt(path)
  if (salt === undefined) throw new Error('it vanished')
  return salt
}
