/** Starts the real gateways as child processes, with nothing but this machine to talk to. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { cleanEnvironment } from '../e2e/product.ts'
import { freePort } from '../ports.ts'
import {
  envoyProgram,
  fastapiFolder,
  fastapiProgram,
  litellmProgram,
  litellmStaysAtHome,
  llamacppProgram,
  portkeyProgram,
  servers,
} from './places.ts'

export interface Gateway {
  readonly url: string
  /** What a client needs to be let in and to have its request sent to `provider` at `base`, the origin of a server. */
  headersFor(provider: 'openai' | 'anthropic', base: Base): Readonly<Record<string, string>>
  /** The name under which a client asks for a model. */
  modelFor(model: string, base: Base): string
  stop(): Promise<void>
}

export interface FastapiGateway {
  readonly url: string
  /** The gateway's own table, oldest first. */
  rows(): readonly Readonly<Record<string, number | string>>[]
  /** Everything that it wrote so far. */
  said(): string
  /** Lets it end by itself: what it would ever write is written then. */
  stop(): Promise<void>
  /** Removes its table. */
  remove(): void
}

/** `provider`: the sample gateway itself. `sidecar`: tokenweir in front of it. */
export type Base = 'provider' | 'sidecar'
export type Bases = Readonly<Record<Base, string>>

export async function startPortkey(bases: Bases): Promise<Gateway> {
  const port = await freePort()
  const process = start(globalThis.process.execPath, [portkeyProgram, `--port=${port}`, '--headless'], {})
  const url = `http://127.0.0.1:${port}`
  await process.becomesReady(url, 180_000)
  return {
    url,
    headersFor: (provider, base) => ({ 'x-portkey-provider': provider, 'x-portkey-custom-host': `${bases[base]}/v1` }),
    modelFor: (model) => model,
    stop: process.stop,
  }
}

/** Each model once with its provider behind it, and once with tokenweir between; `team-default` is a name that tells nothing. */
function litellmConfig(bases: Bases): string {
  const models = (base: Base) =>
    [
      ['gpt-4o', 'openai/gpt-4o'],
      ['text-embedding-3-small', 'openai/text-embedding-3-small'],
      ['claude-sonnet-5-5', 'anthropic/claude-sonnet-5-5'],
      ['team-default', 'anthropic/claude-sonnet-5-5'],
    ].map(([name, model]) => ({
      model_name: base === 'sidecar' ? `sidecar-${name}` : name,
      litellm_params: { model, api_key: 'test', api_base: model?.startsWith('openai/') ? `${bases[base]}/v1` : bases[base] },
    }))
  // JSON is YAML.
  return JSON.stringify({
    model_list: [...models('provider'), ...models('sidecar')],
    litellm_settings: { telemetry: false, num_retries: 0 },
    router_settings: { num_retries: 0 },
  })
}

export async function startLitellm(bases: Bases): Promise<Gateway> {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-litellm-'))
  const config = join(folder, 'config.yaml')
  writeFileSync(config, litellmConfig(bases))
  const gateway = await runLitellm(config, {})
  return {
    url: gateway.url,
    headersFor: () => ({ authorization: `Bearer ${gateway.key}` }),
    modelFor: (model, base) => (base === 'sidecar' ? `sidecar-${model}` : model),
    async stop() {
      await gateway.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** LiteLLM with a configuration file; `key` is what its clients need. */
export async function runLitellm(config: string, env: Readonly<Record<string, string>>) {
  const port = await freePort()
  const key = `sk-${randomBytes(16).toString('hex')}`
  const args = ['--config', config, '--host', '127.0.0.1', '--port', String(port), '--telemetry', 'False']
  const process = start(litellmProgram, args, { ...litellmStaysAtHome, LITELLM_MASTER_KEY: key, ...env })
  const url = `http://127.0.0.1:${port}`
  await process.becomesReady(`${url}/health/liveliness`, 180_000)
  return { url, key, stop: process.stop }
}

/** A plain Envoy, as it stands under Envoy AI Gateway, Higress and others: a header chooses where a request goes. */
function envoyConfig(port: number, bases: Bases): string {
  const address = (host: string, port_value: number) => ({ address: { socket_address: { address: host, port_value } } })
  const cluster = ([name, url]: [string, string]) => ({
    name,
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: address('127.0.0.1', Number(new URL(url).port)) }] }],
    },
  })
  const route = (name: Base) => ({
    match: { prefix: '/', headers: [{ name: 'x-base', string_match: { exact: name } }] },
    route: { cluster: name, timeout: '0s' },
  })
  const typed = (name: string) => ({ '@type': `type.googleapis.com/envoy.extensions.filters.${name}` })
  const manager = {
    ...typed('network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'in',
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route('provider'), route('sidecar')] }] },
    http_filters: [{ name: 'router', typed_config: typed('http.router.v3.Router') }],
  }
  const filter_chains = [{ filters: [{ name: 'http', typed_config: manager }] }]
  const listeners = [{ ...address('127.0.0.1', port), filter_chains }]
  return JSON.stringify({ static_resources: { listeners, clusters: Object.entries(bases).map(cluster) } })
}

export async function startEnvoy(bases: Bases): Promise<Gateway> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-envoy-'))
  const config = join(folder, 'envoy.json')
  writeFileSync(config, envoyConfig(port, bases))
  const process = start(envoyProgram, ['-c', config, '--use-dynamic-base-id', '--disable-hot-restart', '--concurrency', '1'], {})
  const url = `http://127.0.0.1:${port}`
  await process.becomesReady(url, 180_000)
  return {
    url,
    headersFor: (_provider, base) => ({ 'x-base': base }),
    modelFor: (model) => model,
    async stop() {
      await process.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export interface ModelServer {
  readonly url: string
  /** What it says at `/metrics` that it has read and written since its start. */
  counted(): Promise<{ readonly input: number; readonly output: number }>
  stop(): Promise<void>
}

/** The server of llama.cpp. */
export async function startLlamacpp(): Promise<ModelServer> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-llamacpp-'))
  const process = start(join(servers.folder, 'bin/python'), [llamacppProgram, folder, String(port)], {})
  const url = `http://127.0.0.1:${port}`
  await process.becomesReady(`${url}/health`, 180_000)
  return {
    url,
    async counted() {
      const text = await (await fetch(`${url}/metrics`)).text()
      const value = (name: string) => Number(new RegExp(`^llamacpp:${name} (\\d+)$`, 'm').exec(text)?.[1])
      return { input: value('prompt_tokens_total'), output: value('tokens_predicted_total') }
    },
    async stop() {
      await process.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The gateway of `examples/fastapi-gateway`, with a table of its own. */
export async function startFastapi(upstream: string): Promise<FastapiGateway> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-fastapi-'))
  const table = join(folder, 'gateway.db')
  const args = ['app:app', '--app-dir', fastapiFolder, '--host', '127.0.0.1', '--port', String(port)]
  const process = start(fastapiProgram, args, { UPSTREAM_URL: upstream, GATEWAY_DB: table, PYTHONDONTWRITEBYTECODE: '1' })
  const url = `http://127.0.0.1:${port}`
  await process.becomesReady(`${url}/health`, 180_000)
  return {
    url,
    rows() {
      const database = new DatabaseSync(table, { readOnly: true })
      const rows = database.prepare('SELECT * FROM requests ORDER BY id').all()
      database.close()
      return rows as unknown as Readonly<Record<string, number | string>>[]
    },
    said: process.said,
    stop: process.stop,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** What a client sends beyond this machine, such as its own telemetry, goes to a proxy that is not there. */
const nowhere = { NODE_USE_ENV_PROXY: '1', NO_PROXY: '127.0.0.1,localhost', no_proxy: '127.0.0.1,localhost' } as Record<string, string>
for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy'])
  nowhere[name] = 'http://127.0.0.1:9'

/** Runs a client until it ends, with nothing but this machine to talk to, and gives what it wrote. */
export async function runClient(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd,
    detached: true,
    env: { ...cleanEnvironment(), ...nowhere, PWD: cwd, ...env },
  })
  const kill = () => killGroup(child)
  process.once('exit', kill)
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (part: string) => (said[name] += part))
  const late = new AbortController()
  const [code] = await Promise.race([once(child, 'close'), setTimeout(180_000, ['late'], { signal: late.signal, ref: false })])
  late.abort()
  kill()
  process.off('exit', kill)
  if (code !== 0) throw new Error(`${command} ended with ${code}; it said:\n${said.stdout}\n${said.stderr}`)
  return `${said.stdout}\n${said.stderr}`
}

function start(command: string, args: readonly string[], env: Readonly<Record<string, string>>) {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: tmpdir(),
    detached: true, // a process group of its own, so that its helpers end with it
    env: { ...cleanEnvironment(), ...env },
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (said = (said + part).slice(-20_000)))
  const kill = () => killGroup(child)
  process.once('exit', kill)
  const exited = once(child, 'exit')
  return {
    said: () => said,
    async becomesReady(url: string, msMax: number): Promise<void> {
      const until = performance.now() + msMax
      for (;;) {
        const answered = await fetch(url).then(
          (response) => response.body?.cancel().then(() => response.status < 500),
          () => false,
        )
        if (answered === true) return
        if (child.exitCode !== null || performance.now() > until) {
          kill()
          throw new Error(`${command} was not ready after ${msMax} ms; it said:\n${said}`)
        }
        await setTimeout(200)
      }
    },
    async stop(): Promise<void> {
      process.off('exit', kill)
      child.kill('SIGTERM')
      await Promise.race([exited, setTimeout(5000, undefined, { ref: false })])
      kill()
    },
  }
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // it has ended
  }
}
