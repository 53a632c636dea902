/** What is measured: one entry per proxy, each in a process of its own on the proxy's core. Adding a peer is one entry. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { freePort } from '../test/ports.ts'
import { certificate } from '../test/proxy/certificate.ts'
import { type OtlpSink, startSink } from './aides.ts'
import type { Through } from './fixture.ts'
import type { Way } from './jobs.ts'
import { descriptorsMax, type Started, start, until } from './processes.ts'

export interface Target {
  readonly name: string
  readonly port: number
  /** How clients speak with it; by plain HTTP/1.1 where absent. */
  readonly way?: Way
  /** Absent for `direct`. */
  readonly process?: Started
  /** From the start of the process to its readiness. */
  readonly readyMs?: number
  /** Where tokenweir's records are. */
  readonly records?: { readonly ledger: string; readonly log: string; readonly sink: OtlpSink }
  /** Where tokenweir shows its metrics. */
  readonly metricsUrl?: string
  /** Given where a gateway answers. */
  readonly through?: Through
  /** The gateway that tokenweir stands in front of. */
  readonly behind?: Started
}

export interface Surroundings {
  readonly upstreamPort: number
  readonly directory: string
  /** Where targets run. */
  readonly cores: string | undefined
  /** Arguments of Node before tokenweir's own. */
  readonly nodeArguments: readonly string[]
}

export interface Kind {
  /** Why it cannot be measured here; undefined when it can. */
  missing(): string | undefined
  start(name: string, around: Surroundings): Promise<Target>
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => socket.destroy(resolve(true) as undefined))
    socket.on('error', () => resolve(false))
  })
}

const program = (name: string) => () =>
  spawnSync('which', [name]).status === 0
    ? undefined
    : `${name} is not installed (apt-get install ${name === 'nginx' ? 'nginx-light' : name})`

/** Starts `command` with `port` and waits until it accepts connections. */
async function listening(name: string, port: number, command: readonly string[], around: Surroundings): Promise<Target> {
  const began = performance.now()
  const process = start({ name, command, cores: around.cores, stderr: join(around.directory, `${name}-${port}.stderr`) })
  await until(process, () => accepts(port))
  return { name, port, process, readyMs: performance.now() - began }
}

/** Connections per side: two descriptors each, and some to spare. */
const connectionsMax = () => Math.floor((descriptorsMax() - 200) / 2)

/** More `worker_connections` than descriptors: with less than a sixteenth of them free, nginx closes connections that have just come. */
function nginxConfiguration(port: number, upstreamPort: number, way: Way | undefined): string {
  const secure = way === undefined ? '' : way === 'tls' ? ' ssl' : ' ssl http2'
  return `worker_processes 1; daemon off; master_process off; pid nginx.pid; error_log stderr error;
worker_rlimit_nofile ${descriptorsMax()};
events { worker_connections ${connectionsMax() * 3}; }
http {
  access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 1h;
  upstream mock { server 127.0.0.1:${upstreamPort}; keepalive 1024; keepalive_requests 100000000; keepalive_timeout 1h; }
  server {
    listen 127.0.0.1:${port}${secure} backlog=4096;
    ${way === undefined ? '' : 'ssl_certificate tls.crt; ssl_certificate_key tls.key; http2_max_concurrent_streams 250;'}
    location / { proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 1h; }
  }
}
`
}

function haproxyConfiguration(port: number, upstreamPort: number): string {
  return `global
  nbthread 1
  maxconn ${connectionsMax()}
defaults
  mode http
  option http-no-delay
  http-reuse always
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend in
  bind 127.0.0.1:${port} backlog 4096
  default_backend mock
backend mock
  server mock 127.0.0.1:${upstreamPort} pool-max-conn -1
`
}

async function startNginx(name: string, around: Surroundings, way?: Way): Promise<Target> {
  const port = await freePort()
  const prefix = join(around.directory, `nginx-${port}`)
  mkdirSync(prefix)
  const file = join(prefix, 'nginx.conf')
  writeFileSync(file, nginxConfiguration(port, around.upstreamPort, way))
  writeCertificate(prefix)
  const target = await listening(name, port, ['nginx', '-p', prefix, '-c', file, '-e', 'stderr'], around)
  return way === undefined ? target : { ...target, way }
}

function writeCertificate(folder: string): void {
  writeFileSync(join(folder, 'tls.crt'), certificate.cert)
  writeFileSync(join(folder, 'tls.key'), certificate.key)
}

async function startHaproxy(name: string, around: Surroundings): Promise<Target> {
  const port = await freePort()
  const file = join(around.directory, `haproxy-${port}.cfg`)
  writeFileSync(file, haproxyConfiguration(port, around.upstreamPort))
  return listening(name, port, ['haproxy', '-db', '-f', file], around)
}

const peer = (file: string): Kind => ({
  missing: () => undefined,
  async start(name, around) {
    const port = await freePort()
    const command = [execPath, join(import.meta.dirname, 'peers', file), String(port), `http://127.0.0.1:${around.upstreamPort}`]
    return listening(name, port, command, around)
  },
})

const productRoot = join(import.meta.dirname, '..')
const programIn = (root: string) => join(root, 'bin', 'tokenweir.js')

/** A file system in memory, where nothing waits for a disk. */
const memoryFolder = '/dev/shm'

interface Variant {
  /** The checkout it runs from. */
  readonly root: string
  /** Without it no span is made, and nothing is spooled. */
  readonly exports: boolean
  /** Ledger and spool where no write and no sync goes to a disk. */
  readonly onDisk: boolean
  readonly way?: Way
  /** A file of its settings. */
  readonly config?: string
}

/** Recording everything: span, metrics and log with OTLP export on, and the ledger. A variant leaves out what durability costs. */
async function startTokenweir(name: string, around: Surroundings, { root, exports, onDisk, way, config }: Variant): Promise<Target> {
  const [port, adminPort, sink] = await Promise.all([freePort(), freePort(), startSink(around.directory)])
  const folder = onDisk ? around.directory : mkdtempSync(join(memoryFolder, 'tokenweir-bench-'))
  if (!onDisk) process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const ledger = join(folder, `tokenweir-${port}.db`)
  const log = join(around.directory, `tokenweir-${port}.log`)
  const file = way === undefined ? config : writeSecureConfig(around.directory)
  const began = performance.now()
  const started = start({
    name,
    command: [execPath, ...around.nodeArguments, programIn(root)],
    cores: around.cores,
    stdout: log,
    stderr: join(around.directory, `tokenweir-${port}.stderr`),
    env: {
      TOKENWEIR_UPSTREAM: `http://127.0.0.1:${around.upstreamPort}`,
      TOKENWEIR_LISTEN: `127.0.0.1:${port}`,
      TOKENWEIR_ADMIN: `127.0.0.1:${adminPort}`,
      TOKENWEIR_LEDGER: ledger,
      ...(file === undefined ? {} : { TOKENWEIR_CONFIG: file }),
      ...(exports ? { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${sink.port}` } : {}),
    },
  })
  const admin = `http://127.0.0.1:${adminPort}`
  await until(started, async () => (await fetch(`${admin}/readyz`, { signal: AbortSignal.timeout(1_000) })).status === 200)
  const readyMs = performance.now() - began
  // Without export there is one sink less than a verdict counts.
  return {
    name,
    port,
    ...(way && { way }),
    process: started,
    readyMs,
    ...(exports ? { records: { ledger, log, sink } } : {}),
    metricsUrl: `${admin}/metrics`,
  }
}

function writeSecureConfig(folder: string): string {
  writeCertificate(folder)
  const file = join(folder, 'tokenweir-tls.yaml')
  writeFileSync(file, `tls: { cert: ${join(folder, 'tls.crt')}, key: ${join(folder, 'tls.key')} }\n`)
  return file
}

const tokenweir = (variant: Variant): Kind => ({
  missing() {
    if (!existsSync(programIn(variant.root))) return `${programIn(variant.root)} does not exist`
    return variant.onDisk || existsSync(memoryFolder) ? undefined : `there is no ${memoryFolder}`
  },
  start: (name, around) => startTokenweir(name, around, variant),
})

/** A checkout of tokenweir as its users run it, recording everything. */
export const tokenweirIn = (root: string): Kind => tokenweir({ root, exports: true, onDisk: true })

/** This one, with that file of settings. */
export const tokenweirWith = (config: string): Kind => tokenweir({ root: productRoot, exports: true, onDisk: true, config })

/** What durability costs: the whole product beside itself without a disk below its ledger and spool, and without export. */
export const durability: Readonly<Record<string, Kind>> = {
  tokenweir: tokenweirIn(productRoot),
  'tokenweir-memory': tokenweir({ root: productRoot, exports: true, onDisk: false }),
  'tokenweir-no-export': tokenweir({ root: productRoot, exports: false, onDisk: true }),
}

const nginxBy = (way?: Way): Kind => ({ missing: program('nginx'), start: (name, around) => startNginx(name, around, way) })
const tokenweirBy = (way: Way): Kind => tokenweir({ root: productRoot, exports: true, onDisk: true, way })

/** What TLS and HTTP/2 with clients cost; the upstream is spoken to as ever. */
export const secure: Readonly<Record<string, Kind>> = {
  nginx: nginxBy(),
  'nginx-tls': nginxBy('tls'),
  'nginx-http2': nginxBy('http2'),
  tokenweir: tokenweirIn(productRoot),
  'tokenweir-tls': tokenweirBy('tls'),
  'tokenweir-http2': tokenweirBy('http2'),
}

export const kinds: Readonly<Record<string, Kind>> = {
  direct: { missing: () => undefined, start: async (name, around) => ({ name, port: around.upstreamPort }) },
  nginx: nginxBy(),
  haproxy: { missing: program('haproxy'), start: startHaproxy },
  'http-proxy': peer('http-proxy.ts'),
  undici: peer('undici-dispatch.ts'),
  tokenweir: tokenweirIn(productRoot),
}
