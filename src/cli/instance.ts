/** Whether the sidecar that answers is the one that writes a ledger: both name `service.instance.id`. */
import { DatabaseSync } from 'node:sqlite'
import { at, parseJson, string } from '../lib/json.ts'

const patienceMs = 5000

/** Undefined where the file names none, or cannot be read. */
export function instanceOfLedger(path: string): string | undefined {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: 1000 })
    const value = database.prepare("SELECT value FROM meta WHERE key = 'instance_id'").get()?.['value']
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  } finally {
    database?.close()
  }
}

/** By `/readyz` of that address. Undefined where nothing, something else or an earlier version answers. */
async function instanceAt(admin: string | URL): Promise<string | undefined> {
  try {
    const response = await fetch(new URL('/readyz', admin), { signal: AbortSignal.timeout(patienceMs), redirect: 'manual' })
    return string(at(parseJson(await response.text()), 'instance'))
  } catch {
    return undefined
  }
}

/** A sentence where they are two for certain. */
export async function otherSidecar(admin: string | URL, ledger: string): Promise<string | undefined> {
  const [asked, own] = [await instanceAt(admin), instanceOfLedger(ledger)]
  return asked === undefined || own === undefined || asked === own
    ? undefined
    : `The sidecar at ${new URL(admin).origin} writes another ledger (instance ${asked}) than ${ledger} (instance ${own}).`
}
