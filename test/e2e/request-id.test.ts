/** `x-tokenweir-id` of the running product: which responses have it, and that it finds the request. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { rawUpstream } from '../proxy/harness.ts'
import { startProduct } from './product.ts'

async function idOf(options: { readonly capture?: 'inject' | 'observe'; readonly args?: readonly string[] }) {
  const upstream = await rawUpstream((_, socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
  const product = await startProduct({ upstream: upstream.url, ...options })
  onTestFinished(async () => void (await product.stop('SIGKILL')))
  const response = await fetch(`${product.url}/v1/models`)
  await response.text()
  const [row] = await product.closedRows(1)
  return { product, told: response.headers.get('x-tokenweir-id'), row: row?.['id'] }
}

it('The id on a response is that of the ledger, and opens the request.', async () => {
  const { product, told, row } = await idOf({ capture: 'inject' })
  expect(told).toBe(row)
  const opened = await fetch(`${product.adminUrl}/api/request?id=${told}`)
  expect([opened.status, await opened.json()]).toEqual([200, expect.objectContaining({ id: row, path: '/v1/models' })])
  expect((await fetch(`${product.adminUrl}/?id=${told}`)).status).toBe(200)
})

it('With observe not one byte is added, and the setting turns it off.', async () => {
  const observed = await idOf({ capture: 'observe' })
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-request-id-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'c.yaml'), 'requestIdHeader: false\n')
  const off = await idOf({ capture: 'inject', args: ['--config', join(folder, 'c.yaml')] })
  expect([observed.told, off.told]).toEqual([null, null])
})
