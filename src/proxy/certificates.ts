/** Certificates from files, read again when the files change: cert-manager and others replace them while the sidecar runs. */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { type Pem, type PemFiles, readPem } from '../config/certificates.ts'
import { Cell } from '../lib/shared-counters.ts'

export interface CertificatesOptions {
  readonly files: PemFiles
  /** Shared counters, see `Cell`. */
  readonly cells: Int32Array
  readonly report: (sentence: string) => void
  readonly everyMs?: number
}

export interface Certificates {
  /** `take` is called at once, and with each change. */
  use(take: (pem: Pem) => void): void
  stop(): void
}

/** Contents are compared: a symbolic link that is turned to another folder changes no time of a file. */
const everyUsualMs = 5000

/** Throws with an actionable message. */
export function watchCertificates({ files, cells, report, everyMs = everyUsualMs }: CertificatesOptions): Certificates {
  const paths = [files.cert, files.key, files.ca].filter((path) => path !== undefined)
  const uses: ((pem: Pem) => void)[] = []
  let current = readPem(files, (path) => readFileSync(path, 'utf8'))
  let inUse = [current.cert, current.key, current.ca].filter((text) => text !== undefined)
  /** What was found last and cannot be used. */
  let broken: { readonly texts: readonly string[]; isTold: boolean } | undefined

  /** What cannot be used changes nothing, and is told when it is found a second time: the files may be about to change one by one. */
  async function look(): Promise<void> {
    const texts = await Promise.all(paths.map((path) => readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => error)))
    const found = texts.map(String)
    if (isSame(found, inUse)) {
      broken = undefined
      return
    }
    try {
      current = readPem(files, (path) => textOf(texts[paths.indexOf(path)]))
      for (const take of uses) take(current)
      inUse = found
      broken = undefined
      Atomics.add(cells, Cell.certificatesRead, 1)
      report(`New certificates are in use, from ${paths.join(', ')}.`)
    } catch (error) {
      if (broken === undefined || !isSame(found, broken.texts)) broken = { texts: found, isTold: false }
      else if (!broken.isTold) {
        broken.isTold = true
        Atomics.add(cells, Cell.certificatesRefused, 1)
        report(`${(error as Error).message} The certificates from before stay in use.`)
      }
    }
  }

  const timer = setInterval(() => void look(), everyMs).unref()
  return {
    use(take) {
      uses.push(take)
      take(current)
    },
    stop: () => clearInterval(timer),
  }
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index])
}

function textOf(read: string | Error | undefined): string {
  if (typeof read === 'string') return read
  throw read
}
