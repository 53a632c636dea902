/** The gateways that tokenweir's users run, each with all its processes on the proxy's core, and tokenweir in front of one of them. */
import { deepEqual } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { isInstalled, litellm, litellmProgram, litellmStaysAtHome, portkeyFolder, portkeyProgram } from '../test/gateways/places.ts'
import { freePort } from '../test/ports.ts'
import { startUpstream } from './aides.ts'
import { model, type Through } from './fixture.ts'
import type { Fetched } from './jobs.ts'
import { checkBodies, type Stage, warmUp } from './measure.ts'
import { start, stop, until } from './processes.ts'
import type { Surroundings, Target } from './targets.ts'

const readySecondsMax = 180

interface Setting {
  readonly name: string
  readonly port: number
  readonly around: Surroundings
  readonly command: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly readyPath: string
  readonly through: Through
}

async function startGateway({ name, port, around, command, env = {}, readyPath, through }: Setting): Promise<Target> {
  const began = performance.now()
  const process = start({
    name,
    command,
    env,
    cores: around.cores,
    cwd: around.directory,
    stderr: join(around.directory, `${name}-${port}.stderr`),
  })
  const ready = async () => {
    const response = await fetch(`http://127.0.0.1:${port}${readyPath}`, { signal: AbortSignal.timeout(2_000) })
    await response.body?.cancel()
    return response.status < 500
  }
  await until(process, ready, readySecondsMax)
  return { name, port, process, readyMs: performance.now() - began, through }
}

async function startLitellm(name: string, around: Surroundings, port: number): Promise<Target> {
  const key = `sk-${randomBytes(16).toString('hex')}`
  const config = join(around.directory, `litellm-${port}.yaml`)
  const provider = { model: `openai/${model}`, api_key: 'bench', api_base: `http://127.0.0.1:${around.upstreamPort}/v1` }
  const settings = {
    model_list: [{ model_name: model, litellm_params: provider }],
    litellm_settings: { telemetry: false, num_retries: 0 },
    router_settings: { num_retries: 0 },
  }
  // JSON is YAML.
  writeFileSync(config, JSON.stringify(settings))
  const command = [litellmProgram, '--config', config, '--host', '127.0.0.1', '--port', String(port), '--telemetry', 'False']
  const env = { ...litellmStaysAtHome, LITELLM_MASTER_KEY: key }
  return startGateway({
    ...{ name, port, around, command, env },
    readyPath: '/health/liveliness',
    through: { headers: { Authorization: `Bearer ${key}` } },
  })
}

async function startPortkey(name: string, around: Surroundings, port: number): Promise<Target> {
  const command = [execPath, portkeyProgram, `--port=${port}`, '--headless']
  const upstream = `http://127.0.0.1:${around.upstreamPort}/v1`
  const through = { headers: { 'x-portkey-provider': 'openai', 'x-portkey-custom-host': upstream } }
  return startGateway({ name, port, around, command, readyPath: '/', through })
}

const notInstalled = 'not installed: npm run gateways:install, with the same TOKENWEIR_TOOLS'

export const gatewayKinds = {
  LiteLLM: { missing: () => (isInstalled.litellm() ? undefined : notInstalled), start: startLitellm },
  Portkey: { missing: () => (isInstalled.portkey() ? undefined : notInstalled), start: startPortkey },
}

export const gatewayNames = ['LiteLLM', 'Portkey'] as const satisfies readonly (keyof typeof gatewayKinds)[]

export const gatewayVersions: Readonly<Record<string, () => string>> = {
  LiteLLM: () => /^litellm==(\S+)/m.exec(readFileSync(litellm.requirements, 'utf8'))?.[1] ?? '',
  Portkey: () =>
    (JSON.parse(readFileSync(join(portkeyFolder, 'node_modules/@portkey-ai/gateway/package.json'), 'utf8')) as { version: string }).version,
}

/** The target that has tokenweir in front of this gateway. */
export const inFrontOf = (gateway: string) => `tokenweir → ${gateway}`

/** tokenweir with the mock upstream behind it and as much load as it can bear, in turns with the gateways. */
export const atFullLoad = 'tokenweir at full load'

export async function startAtFullLoad(stage: Stage): Promise<Target | undefined> {
  const target = await stage.kinds['tokenweir']?.start(atFullLoad, stage.around)
  if (target !== undefined) await checkBodies(stage, target)
  return target
}

/**
 * tokenweir in front of a port where the mock upstream stands in for the gateway, until tokenweir's code is compiled: a gateway brings so
 * few requests that a whole run would measure the compilers.
 */
async function startWarm(stage: Stage, port: number): Promise<Target | undefined> {
  const standIn = await startUpstream(stage.around.directory, port)
  const target = await stage.kinds['tokenweir']?.start('tokenweir', { ...stage.around, upstreamPort: port })
  if (target === undefined) return undefined
  await checkBodies(stage, target)
  await warmUp(stage, target)
  await stop(standIn.process)
  return target
}

/** A gateway, and for LiteLLM also tokenweir in front of it. */
export async function startGatewayTargets(stage: Stage, name: keyof typeof gatewayKinds): Promise<Target[]> {
  const port = await freePort()
  const inFront = name === 'LiteLLM' ? await startWarm(stage, port) : undefined
  const gateway = await gatewayKinds[name].start(name, stage.around, port)
  const { process: behind, through } = gateway
  if (inFront === undefined || behind === undefined || through === undefined) return [gateway]
  return [gateway, { ...inFront, name: inFrontOf(name), behind, through }]
}

interface Chunk {
  readonly choices?: readonly { readonly message?: { readonly content?: string }; readonly delta?: { readonly content?: string | null } }[]
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null
}

/** What an answer tells its client: a gateway writes it anew, so its bytes are its own. */
function toldBy({ status, contentType, body = '' }: Fetched) {
  const stream = contentType.startsWith('text/event-stream')
  const data = stream ? [...body.matchAll(/^data: (\{.*)$/gm)].map(([, json]) => json as string) : [body]
  const chunks = data.map((json) => JSON.parse(json) as Chunk)
  const content = chunks.map(({ choices }) => choices?.[0]?.message?.content ?? choices?.[0]?.delta?.content ?? '').join('')
  const usage = chunks.findLast((chunk) => chunk.usage)?.usage
  return { status, stream, content, input: usage?.prompt_tokens, output: usage?.completion_tokens }
}

/** Through a gateway a client must be told what the upstream says, before anything is timed. */
export async function checkTold(stage: Stage, target: Target): Promise<void> {
  const asks = [{ mode: 'json' }, { mode: 'paced', events: 20, intervalMs: 5, stamped: false }] as const
  for (const ask of asks) {
    const told = async (port: number) => {
      const { fetched, failure } = await stage.load.run({ kind: 'fetch', port, ask, through: target.through })
      if (fetched === undefined || failure !== undefined) throw new Error(`${target.name}, body check: ${failure ?? 'no answer'}`)
      return toldBy(fetched)
    }
    const expected = await told(stage.upstream.port)
    const got = await told(target.port)
    deepEqual(got, expected, `${target.name} changes what the answer to ${ask.mode} tells: ${JSON.stringify({ got, expected })}`)
  }
}
