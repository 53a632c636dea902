/**
 * "Quick start without Docker" of docs/stack.md, and the silence of docs/alerts.md, exactly as they are printed. They need the usual ports and names in
 * /etc/hosts, so they run in network and mount namespaces of their own (Linux).
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { isInstalled, type Tool, toolPath } from '../../scripts/stack-tools.ts'
import { simpleCommands } from '../docs/printed/commands.ts'
import { commandsIn } from '../docs/printed/follow.ts'
import { prepareCheckout } from '../docs/printed/session.ts'
import { cleanEnvironment } from '../e2e/product.ts'

const apart = ['--map-root-user', '--net', '--mount', 'bash', '-c']
const hasNamespaces = spawnSync('unshare', [...apart, 'ip link set lo up']).status === 0
const programs = ['alertmanager', 'amtool', 'prometheus', 'otelcol'] as const satisfies readonly Tool[]
const isReady = hasNamespaces && isInstalled('otelcol') && isInstalled('prometheus') && isInstalled('alertmanager')
if (!isReady) {
  process.stderr.write(
    '\n*** THE STACK OF docs/stack.md IS NOT STARTED: npm run stack:install, and a Linux that gives namespaces, are needed ***\n\n',
  )
}

const runs = (program: string) => (text: string) => simpleCommands(text).some(([name]) => name === program)
const texts = (document: string) => commandsIn(document).map(({ text }) => text)
const all = texts('docs/stack.md')
const printed = all.slice(all.findIndex(runs('tee')))

/** A request through the sidecar is in Prometheus, and the silence in Alertmanager. */
const script = (silence: string) => `set -e
ip link set lo up
mount --bind hosts /etc/hosts
node examples/sample-gateway/main.js --port 8000 &
${printed.join('\n')} &
wait_for() { curl --retry 120 --retry-delay 1 --retry-all-errors -fsS -o /dev/null "$1"; echo "ready: $1"; }
wait_for http://alertmanager:9093/-/ready
wait_for http://127.0.0.1:9090/-/ready
wait_for http://127.0.0.1:13133
wait_for http://127.0.0.1:4142/readyz
curl -fsS http://127.0.0.1:4141/v1/chat/completions -d '{"model":"gpt-4o","messages":[]}' > answer.json
for try in $(seq 120); do
  curl -fsS 'http://127.0.0.1:9090/api/v1/query?query=tokenweir_requests_total' | grep -q '"gen_ai_provider_name":"openai"' && echo counted && break
  sleep 1
done
curl -fsS http://127.0.0.1:9090/api/v1/rules | grep -q TokenweirZeroUsageBurst && echo rules
${silence}
amtool --alertmanager.url=http://127.0.0.1:9093 silence query -q | grep -q . && echo silenced
`

it.skipIf(!isReady)('a collector, Prometheus and Alertmanager run as docs/stack.md prints it', { timeout: 600_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-printed-stack-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  prepareCheckout(folder)
  for (const name of programs) symlinkSync(toolPath(name) as string, join(folder, '.bin', name))
  writeFileSync(join(folder, '.bin/sudo'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 })
  writeFileSync(join(folder, 'hosts'), '127.0.0.1 localhost\n')
  const env = {
    ...{ ...cleanEnvironment(), OTEL_METRIC_EXPORT_INTERVAL: '1000' },
    PATH: [join(folder, '.bin'), dirname(process.execPath), process.env['PATH']].join(delimiter),
  }
  const [silence = ''] = texts('docs/alerts.md').filter(runs('amtool'))
  const child = spawn('unshare', [...apart, script(silence)], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const killAll = () => void process.kill(-(child.pid as number), 'SIGKILL')
  process.once('exit', killAll)
  onTestFinished(() => {
    process.off('exit', killAll)
    killAll()
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => (said += part))
  const [code] = await once(child, 'exit')
  const found = ['counted', 'rules', 'silenced'].filter((word) => new RegExp(`^${word}$`, 'm').test(said))
  expect({ code, found, said: code === 0 ? '' : said }).toEqual({ code: 0, found: ['counted', 'rules', 'silenced'], said: '' })
})
