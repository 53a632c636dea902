/** The unit of deploy/systemd under a real systemd: that of this machine, booted in a container of its own without a network. */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { skipLoudly } from '../faults/settings.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')
const waitMsMax = 120_000

/** `/usr` of this machine to read, everything else empty and in memory: nothing outside is written. */
const container = ['--quiet', '--directory=/', '--volatile=yes', '--register=no', '--keep-unit', '--private-network']

/** Needs root, namespaces and control groups, which a CI job need not have. */
const works = () => spawnSync('systemd-nspawn', [...container, '--pipe', '/bin/true']).status === 0

const launcher = '#!/bin/sh\nexec /opt/node/node /opt/tokenweir/bin/tokenweir.js "$@"\n'
const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }
/** A hang is to be noticed within the time of a test. */
const dropIn = '[Service]\nWatchdogSec=15\n'
const settings = (port: number) => `upstream: http://127.0.0.1:${port}\n`

function makeFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-systemd-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o755)
  for (const name of ['bin', 'etc', 'dropin']) mkdirSync(join(folder, name))
  writeFileSync(join(folder, 'bin/tokenweir'), launcher, { mode: 0o755 })
  writeFileSync(join(folder, 'etc/tokenweir.yaml'), settings(8000))
  writeFileSync(join(folder, 'dropin/watchdog.conf'), dropIn)
  cpSync(join(root, 'deploy/systemd/tokenweir.service'), join(folder, 'tokenweir.service'))
  return folder
}

/** Boots as far as to where services can be started. */
async function boot(folder: string) {
  const name = `tokenweir-${process.pid}`
  const binds = {
    [join(folder, 'bin')]: '/usr/local/bin',
    [join(folder, 'etc')]: '/etc/tokenweir',
    [join(folder, 'tokenweir.service')]: '/etc/systemd/system/tokenweir.service',
    [join(folder, 'dropin')]: '/etc/systemd/system/tokenweir.service.d',
    [dirname(process.execPath)]: '/opt/node',
    [root]: '/opt/tokenweir',
  }
  const args = [...container, `--machine=${name}`, ...Object.entries(binds).map(([from, to]) => `--bind-ro=${from}:${to}`)]
  const boots = ['--boot', '--console=pipe', '--', '--unit=basic.target', 'systemd.mask=systemd-networkd-wait-online.service']
  const nspawn = spawn('systemd-nspawn', [...args, ...boots], { stdio: 'ignore' })
  const ended = once(nspawn, 'exit')
  onTestFinished(async () => {
    nspawn.kill() // which halts the container
    await ended
    rmSync(`/run/systemd/nspawn/propagate/${name}`, { recursive: true, force: true })
  })
  const first = () => readFileSync(`/proc/${nspawn.pid}/task/${nspawn.pid}/children`, 'utf8').split(' ')[0] as string
  await expect.poll(first, { timeout: waitMsMax }).toMatch(/^\d+$/)
  /** What a command in the container prints, of both streams. */
  const inside = async (...command: string[]) => {
    const { stdout, stderr } = await run('nsenter', ['--target', first(), '--mount', '--uts', '--ipc', '--net', '--pid', ...command], {
      env,
    })
    return stdout + stderr
  }
  const state = () => inside('systemctl', 'is-active', 'basic.target').catch((error: Error) => error.message)
  await expect.poll(state, { timeout: waitMsMax }).toBe('active\n')
  return inside
}

/** The status, and the body as JSON. */
const asking = (url: string) => `fetch(${JSON.stringify(url)}).then(async (r) => console.log(JSON.stringify([r.status, await r.json()])))`

it('starts, tells that it is ready, reloads, is restarted when it hangs, and stops, as systemd sees it', async (context) => {
  if (!works()) skipLoudly(context.skip, 'systemd-nspawn is not there or cannot run: apt-get install systemd-container, as root')
  const folder = makeFolder()
  const inside = await boot(folder)
  const show = async (...properties: string[]) => {
    const lines = (await inside('systemctl', 'show', 'tokenweir', `--property=${properties.join(',')}`)).trim().split('\n')
    return Object.fromEntries(lines.map((line) => line.split('=') as [string, string]))
  }
  const ask = async (url: string) => JSON.parse(await inside('/opt/node/node', '-e', asking(url)))
  const ready = () => ask('http://127.0.0.1:4142/readyz')
  const upstreams = async () => (await ready())[1].upstreams.map(({ upstream }: { upstream: string }) => upstream)

  expect(await inside('systemd-analyze', 'verify', 'tokenweir.service')).toBe('')
  await inside('systemd-analyze', 'security', '--no-pager', '--threshold=16', 'tokenweir.service') // 1.6 of 10, or it fails

  await inside('systemctl', 'start', 'tokenweir')
  expect((await ready())[0]).toBe(200)
  expect((await ask('http://127.0.0.1:4141/v1/messages'))[0]).toBe(502)
  expect(await inside('stat', '--format=%a', '/var/lib/private/tokenweir/tokenweir.db')).toBe('600\n')
  expect(await inside('stat', '--format=%U', '/var/lib/private/tokenweir/tokenweir.db')).not.toBe('root\n')

  const { MainPID: first } = await show('MainPID')
  writeFileSync(join(folder, 'etc/tokenweir.yaml'), settings(8001))
  await inside('systemctl', 'reload', 'tokenweir')
  await expect.poll(upstreams, { timeout: waitMsMax }).toEqual(['http://127.0.0.1:8001'])
  expect(await show('MainPID', 'NRestarts')).toEqual({ MainPID: first, NRestarts: '0' })

  await inside('kill', '-STOP', first as string)
  await expect.poll(() => show('NRestarts', 'SubState'), { timeout: waitMsMax }).toEqual({ NRestarts: '1', SubState: 'running' })
  expect(await inside('journalctl', '--no-pager', '--unit=tokenweir')).toMatch(/Watchdog timeout.*Failed with result 'watchdog'/s)
  expect((await ready())[0]).toBe(200)

  await inside('systemctl', 'stop', 'tokenweir')
  expect(await show('ActiveState', 'Result', 'ExecMainStatus')).toEqual({ ActiveState: 'inactive', Result: 'success', ExecMainStatus: '0' })
}, 600_000)
