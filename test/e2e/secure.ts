/** The running product with TLS on its port, and beside it a port without. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { certificate } from '../proxy/certificate.ts'
import { authority, writePem } from '../proxy/certificates.ts'
import { type Product, startProduct } from './product.ts'

export interface SecureProduct extends Product {
  /** Of the port without TLS. */
  readonly plainUrl: string
  /** Writes a file of the certificates anew: tls.crt, tls.key or ca.crt. */
  put(name: string, text: string): void
  /** Of the certificate that is trusted, for programs that want a file. */
  readonly caFile: string
}

/** In front of the sample gateway, until the end of the test. */
export async function startBeforeSample(tls?: string, more?: string): Promise<SecureProduct> {
  const gateway = await startSampleGateway()
  onTestFinished(() => gateway.close())
  const product = await startSecureProduct(gateway.url, tls, more)
  onTestFinished(async () => void (await product.stop()))
  return product
}

/** `tls` and `more` are YAML: keys of `tls`, and other settings. */
export async function startSecureProduct(upstream: string, tls = '', more = ''): Promise<SecureProduct> {
  const { put, at, folder, remove } = writePem({ 'tls.crt': certificate.cert, 'tls.key': certificate.key, 'ca.crt': authority.cert })
  const config = join(folder, 'tokenweir.yaml')
  const files = `cert: ${at('tls.crt')}, key: ${at('tls.key')}`
  writeFileSync(
    config,
    `tls: { ${files}${tls === '' ? '' : `, ${tls.replace('CA', at('ca.crt'))}`} }\nlisteners: [{ address: "127.0.0.1:0" }]\n${more}`,
  )
  const product = await startProduct({ upstream, args: ['--config', config] })
  const plainUrl = /listens on https:\S+, (http:\S+)/.exec(product.stderr())?.[1] ?? ''
  writeFileSync(at('trusted.crt'), certificate.cert)
  const stop: Product['stop'] = (signal) => product.stop(signal).finally(remove)
  return { ...product, plainUrl, put, caFile: at('trusted.crt'), stop }
}
