/** What deploy/systemd/tokenweir.service says, against the program that it starts. A real systemd runs it in test/conformance. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'

const root = resolve(import.meta.dirname, '../..')
const text = readFileSync(join(root, 'deploy/systemd/tokenweir.service'), 'utf8')
const values = (key: string) => [...text.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value as string)

async function config() {
  const env = Object.fromEntries(values('Environment').map((line) => line.split('=') as [string, string]))
  const [, , file = ''] = (values('ExecStart')[0] ?? '').split(' ')
  const readFile = (path: string) => (path === file ? 'upstream: http://127.0.0.1:8000\n' : '')
  const loaded = await loadConfig({ flags: { config: file }, env, readFile })
  if ('errors' in loaded) throw new Error(JSON.stringify(loaded.errors))
  return loaded.config
}

it('starts the command with a file, and keeps the ledger in the one folder that it may write', async () => {
  expect(values('ExecStart')).toEqual(['tokenweir --config /etc/tokenweir/tokenweir.yaml'])
  expect(values('ExecReload')).toEqual(['/bin/kill -HUP $MAINPID'])
  expect([values('ProtectSystem'), values('StateDirectory')]).toEqual([['strict'], ['tokenweir']])
  expect((await config()).ledger).toBe('%S/tokenweir/tokenweir.db')
})

it('lets the sidecar tell systemd, by a child, and waits for its end longer than it takes', async () => {
  const { timeouts } = await config()
  expect([values('Type'), values('NotifyAccess'), values('KillMode')]).toEqual([['notify'], ['all'], ['mixed']])
  expect(Number(values('WatchdogSec')[0])).toBeGreaterThanOrEqual(30)
  expect(Number(values('TimeoutStopSec')[0]) * 1000).toBeGreaterThan(timeouts.graceMs + timeouts.flushMs)
})

it('takes away what a proxy does not need, and not what Node needs', () => {
  for (const [key, value] of [
    ['DynamicUser', 'yes'],
    ['NoNewPrivileges', 'yes'],
    ['CapabilityBoundingSet', ''],
    ['PrivateDevices', 'yes'],
    ['ProtectHome', 'yes'],
    ['RestrictNamespaces', 'yes'],
  ])
    expect([key, values(key as string)]).toEqual([key, [value]])
  expect(values('MemoryDenyWriteExecute')).toEqual([])
  expect(values('RestrictAddressFamilies')[0]?.split(' ')).toEqual(['AF_INET', 'AF_INET6', 'AF_UNIX', 'AF_NETLINK'])
})
