/** A caller as its certificate names it (mTLS). A certificate is read once per connection. */
import type { Socket } from 'node:net'
import type { PeerCertificate, TLSSocket } from 'node:tls'
import type { CertificateField } from '../../config/caller.ts'
import { callerName } from './header.ts'

export function certificateReader(field: CertificateField): (socket: Socket | undefined) => string | undefined {
  const names = new WeakMap<Socket, { readonly name: string | undefined }>()
  return (socket) => {
    if ((socket as TLSSocket | undefined)?.authorized !== true) return undefined
    let found = names.get(socket as Socket)
    if (found === undefined)
      names.set(socket as Socket, (found = { name: callerName(nameIn((socket as TLSSocket).getPeerCertificate(), field)) }))
    return found.name
  }
}

const sanKinds = { dns: 'DNS', uri: 'URI', email: 'email' } as const

/** The first of its kind. */
function nameIn({ subject, subjectaltname = '' }: PeerCertificate, field: CertificateField): string | undefined {
  if (field === 'subject')
    return Object.entries(subject)
      .flatMap(([part, value]) => [value].flat().map((one) => `${part}=${one}`))
      .join(',')
  if (field === 'cn') return [subject.CN].flat()[0]
  // Node writes a value with a comma or a quote in it as a JSON string.
  const found = new RegExp(`(?:^|, )${sanKinds[field]}:("(?:[^"\\\\]|\\\\.)*"|[^,]*)`).exec(subjectaltname)?.[1]
  return found?.startsWith('"') ? (JSON.parse(found) as string) : found
}
