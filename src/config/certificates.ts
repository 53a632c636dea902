/** Certificates, keys and CAs: which files hold them, and whether their contents can be used. */
import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'

/** Paths of PEM files. */
export interface PemFiles {
  readonly cert?: string | undefined
  readonly key?: string | undefined
  readonly ca?: string | undefined
}

/** Their texts. */
export type Pem = PemFiles

/** How the clients of the admin port are spoken to. */
export interface AdminTls {
  readonly cert: string
  readonly key: string
  readonly minVersion: '1.2' | '1.3'
}

/** How clients of a listener are spoken to. */
export interface ListenTls extends AdminTls {
  /** The CA of client certificates. Without it, none is asked for. */
  readonly clientCa?: string | undefined
  /** `optional`: a client may come without a certificate; with one that the CA did not sign it may not. */
  readonly clientCertificates: 'required' | 'optional'
  /** HTTP/2 where the client offers it. */
  readonly http2: boolean
}

/** How an upstream is spoken to. */
export interface UpstreamTls extends PemFiles {
  /** The name that is asked for (SNI), and that its certificate must bear. */
  readonly serverName?: string | undefined
}

const kinds = { cert: 'certificate', key: 'private key', ca: 'CA' } as const

/** Reads the files. Throws an actionable message, and with it the part that is wrong. */
export function readPem(files: PemFiles, readFile: (path: string) => string): Pem {
  const pem: { -readonly [part in keyof PemFiles]: PemFiles[part] } = {}
  for (const part of ['cert', 'key', 'ca'] as const) {
    const file = files[part]
    if (file === undefined) continue
    try {
      pem[part] = readFile(file)
    } catch (error) {
      throw new PemError(part, `The ${kinds[part]} file ${JSON.stringify(file)} cannot be read (${(error as NodeJS.ErrnoException).code}).`)
    }
  }
  check(pem, files)
  return pem
}

export class PemError extends Error {
  readonly part: keyof PemFiles

  constructor(part: keyof PemFiles, message: string) {
    super(message)
    this.part = part
  }
}

/** Messages quote no part of a key. */
function check(pem: Pem, files: PemFiles): void {
  const certificates = { cert: pem.cert, ca: pem.ca }
  for (const part of ['cert', 'ca'] as const) {
    const text = certificates[part]
    if (text !== undefined && !isCertificate(text)) {
      throw new PemError(
        part,
        `There is no certificate in PEM in ${JSON.stringify(files[part])}. It begins with -----BEGIN CERTIFICATE-----.`,
      )
    }
  }
  try {
    createSecureContext({ cert: pem.cert, key: pem.key, ca: pem.ca })
  } catch (error) {
    throw new PemError('key', keyFault(error as NodeJS.ErrnoException, pem.key ?? '', files))
  }
}

function isCertificate(text: string): boolean {
  try {
    new X509Certificate(text)
    return true
  } catch {
    return false
  }
}

function keyFault({ code = '' }: NodeJS.ErrnoException, key: string, { cert, key: file }: PemFiles): string {
  const where = JSON.stringify(file)
  if (key.includes('ENCRYPTED'))
    return `The private key in ${where} is encrypted. Store it without a passphrase, in a file that only this user may read.`
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key))
    return `There is no private key in PEM in ${where}. It begins with -----BEGIN PRIVATE KEY-----.`
  if (code.includes('MISMATCH')) return `The private key in ${where} does not belong to the certificate in ${JSON.stringify(cert)}.`
  return `The private key in ${where} or its certificate cannot be used (${code}).`
}
