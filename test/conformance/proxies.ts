/** tokenweir as people start it, and beside it nginx and haproxy where they are installed, each in front of a raw upstream of its own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type Product, startProduct } from '../e2e/product.ts'
import { startSecureProduct } from '../e2e/secure.ts'
import { freePort } from '../ports.ts'
import type { HostileAnswer } from './answers.ts'
import { type RawUpstream, startRawUpstream } from './upstream.ts'

export const peerNames = ['nginx', 'haproxy'] as const
export type Name = 'tokenweir' | (typeof peerNames)[number]

export interface Running {
  readonly name: Name
  readonly port: number
  readonly isSecure?: boolean
  readonly upstream: RawUpstream
  /** Only tokenweir's. */
  readonly product?: Product
  stop(): Promise<void>
}

/** Limits of size are about those of tokenweir. Silence of an upstream is over sooner than by default; the same for each proxy. */
const silenceSeconds = 4

const nginx = (folder: string, port: number, upstreamPort: number) => `
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid ${folder}/pid;
error_log stderr crit;
events { worker_connections 512; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  upstream gateway { server 127.0.0.1:${upstreamPort}; keepalive 32; }
  server {
    listen 127.0.0.1:${port};
    client_max_body_size 0;
    large_client_header_buffers 8 64k;
    location / {
      proxy_pass http://gateway;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_buffer_size 64k;
      proxy_buffers 4 64k;
      proxy_next_upstream off;
      proxy_read_timeout ${silenceSeconds}s;
    }
  }
}
`

const haproxy = (_folder: string, port: number, upstreamPort: number) => `
global
  tune.bufsize 131072
  tune.http.maxhdr 32767
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server ${silenceSeconds}s
  timeout http-request 30s
  http-reuse always
  retries 0
frontend clients
  bind 127.0.0.1:${port}
  default_backend gateway
backend gateway
  server one 127.0.0.1:${upstreamPort}
`

const configurations = { nginx, haproxy }
const commands = {
  nginx: (folder: string) => ['nginx', '-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')],
  haproxy: (folder: string) => ['haproxy', '-db', '-q', '-f', join(folder, 'haproxy.conf')],
}

export const isInstalled = (name: (typeof peerNames)[number]) => spawnSync(name, ['-v']).error === undefined

async function accepts(child: ChildProcess, port: number): Promise<void> {
  while (child.exitCode === null) {
    const socket = net.connect(port, '127.0.0.1')
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (connected) return
    await setTimeout(20)
  }
  throw new Error(`It ended with ${child.exitCode} before it listened on ${port}.`)
}

async function startPeer(name: (typeof peerNames)[number], answers: readonly HostileAnswer[]): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), `tokenweir-${name}-`))
  const upstream = await startRawUpstream(answers)
  const port = await freePort()
  writeFileSync(join(folder, `${name}.conf`), configurations[name](folder, port, upstream.port))
  const [command = name, ...args] = commands[name](folder)
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = once(child, 'exit')
  await accepts(child, port)
  return {
    name,
    port,
    upstream,
    async stop() {
      child.kill('SIGTERM')
      await ended
      upstream.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export async function startSecureTokenweir(): Promise<Running> {
  const upstream = await startRawUpstream([])
  const product = await startSecureProduct(`http://127.0.0.1:${upstream.port}`)
  return {
    name: 'tokenweir',
    isSecure: true,
    port: Number(new URL(product.url).port),
    upstream,
    product,
    async stop() {
      await product.stop()
      upstream.stop()
    },
  }
}

async function startTokenweir(answers: readonly HostileAnswer[]): Promise<Running> {
  const upstream = await startRawUpstream(answers)
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-conformance-'))
  const config = join(folder, 'tokenweir.yaml')
  writeFileSync(config, `timeouts: { headMs: ${silenceSeconds}s, idleMs: ${silenceSeconds}s }\n`)
  const product = await startProduct({ upstream: `http://127.0.0.1:${upstream.port}`, args: ['--config', config] })
  return {
    name: 'tokenweir',
    port: Number(new URL(product.url).port),
    upstream,
    product,
    async stop() {
      await product.stop()
      upstream.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** tokenweir first, then those of the others that are installed. */
export function startProxies(answers: readonly HostileAnswer[] = []): Promise<Running[]> {
  return Promise.all([startTokenweir(answers), ...peerNames.filter(isInstalled).map((name) => startPeer(name, answers))])
}
