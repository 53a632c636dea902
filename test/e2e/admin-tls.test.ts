/** The admin port over TLS: what it serves, and the commands that ask it. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import { join, resolve } from 'node:path'
import tls from 'node:tls'
import { promisify } from 'node:util'
import { Agent, request } from 'undici'
import { expect, it, onTestFinished } from 'vitest'
import { certificate } from '../proxy/certificate.ts'
import { renewed, writePem } from '../proxy/certificates.ts'
import { cleanEnvironment, startProduct } from './product.ts'

const program = resolve(import.meta.dirname, '../../src/tokenweir.ts')
const adminToken = 'a-token-of-sixteen-characters'

async function start() {
  const { put, at, folder, remove } = writePem({ 'tls.crt': certificate.cert, 'tls.key': certificate.key, 'ca.crt': certificate.cert })
  const config = join(folder, 'tokenweir.yaml')
  writeFileSync(config, `adminTls: { cert: ${at('tls.crt')}, key: ${at('tls.key')}, minVersion: 1.3 }\nadminToken: ${adminToken}\n`)
  const product = await startProduct({ upstream: 'http://127.0.0.1:9', args: ['--config', config] })
  onTestFinished(async () => {
    await product.stop()
    remove()
  })
  const dispatcher = new Agent({ connect: { ca: certificate.cert } })
  onTestFinished(() => dispatcher.destroy())
  const ask = (path: string) => request(product.adminUrl + path, { dispatcher })
  const port = Number(new URL(product.adminUrl).port)
  /** A command on this machine, with the file that the sidecar was started with. */
  const command = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const given = [program, ...args, '--config', config, '--admin', `127.0.0.1:${port}`, '--ledger', product.ledger]
    const options = { cwd: product.folder, env: { ...cleanEnvironment(), ...env } }
    const { stdout, stderr } = await promisify(execFile)(process.execPath, given, options).catch((error) => error)
    return stdout + stderr
  }
  return { product, ask, port, put, command, trusts: { NODE_EXTRA_CA_CERTS: at('ca.crt') } }
}

it('serves health, metrics and the page over TLS, and its session only over TLS', async () => {
  const { product, ask, port } = await start()
  expect(product.adminUrl).toBe(`https://127.0.0.1:${port}`)
  expect(await (await ask('/readyz')).body.json()).toMatchObject({ ready: true })
  expect(await (await ask('/metrics')).body.text()).toContain('tokenweir_counters_start_time_seconds')
  const { statusCode, headers } = await ask(`/?token=${adminToken}`)
  expect([statusCode, headers['set-cookie']]).toEqual([303, expect.stringMatching(/; Secure$/)])
  await expect(fetch(`http://127.0.0.1:${port}/readyz`)).rejects.toThrow('fetch failed')
  const old = await new Promise((done) => tls.connect({ port, ca: certificate.cert, maxVersion: 'TLSv1.2' }).on('error', done))
  expect(old).toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' })
})

it('takes certificates that are renewed', async () => {
  const { port, put } = await start()
  const subject = () =>
    new Promise((done) => {
      const socket = tls.connect({ port, rejectUnauthorized: false }, () => {
        done(socket.getPeerCertificate().subject.CN)
        socket.destroy()
      })
    })
  expect(await subject()).toBe('weir.test')
  put('tls.crt', renewed.cert)
  put('tls.key', renewed.key)
  await expect.poll(subject, { timeout: 60_000 }).toBe('renewed.weir.test')
})

it('is found by the commands, which say so where they do not trust its certificate', async () => {
  const { product, command, trusts } = await start()
  await new Promise((done) => http.get(`${product.url}/v1/messages`, (response) => response.resume().on('end', done)))
  await product.closedRows(1)
  expect(await command(['reload'], trusts)).toContain('The settings were read again; nothing has changed.')
  expect(await command(['reconcile'], trusts)).toMatch(/^metrics +1 /m)
  expect(await command(['doctor'], trusts)).toContain(`runs and is ready at ${product.adminUrl}`)
  const said = `The certificate at ${product.adminUrl} is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT).`
  expect(await command(['reload'])).toContain(`tokenweir: ${said} Set NODE_EXTRA_CA_CERTS=/path/ca.pem.`)
  expect(await command(['doctor'])).toContain(said)
})
