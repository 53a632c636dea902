/**
 * The whole stack with its real programs on loopback: sample gateway, sidecar, collector with the very `otel-collector.yaml`, Prometheus and
 * Alertmanager with the shipped configurations (hosts of docker-compose replaced by loopback addresses), and what stands for Tempo, Loki and
 * the receiver of notifications.
 *
 * A second Alertmanager gets the same alerts and tells them on without its patience of minutes; a second set of rules is made by the same
 * code with each duration divided by 60, and labelled so, to see an alert resolve within a test.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type SampleGateway, startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { type Product, startProduct } from '../e2e/product.ts'
import { quickRules, replaced, withoutPatience } from './configs.ts'
import { freeAddresses, type Program, type ProgramOptions, startProgram } from './programs.ts'
import { createPrometheus, type Prometheus } from './prometheus.ts'
import { type OtlpRecord, recordsOf } from './records.ts'
import { startWebhook, type Webhook } from './webhook.ts'

export const root = resolve(import.meta.dirname, '../..')
export const rulesPath = join(root, 'grafana/alerting/prometheus-rules.yaml')
export const recordingRulesPath = join(root, 'grafana/alerting/prometheus-recording-rules.yaml')
export const alertmanagerPath = join(root, 'grafana/alerting/alertmanager.yml')

export interface Restartable {
  /** SIGKILL. */
  kill(): Promise<void>
  /** In good order: what it has taken is written. */
  stop(): Promise<void>
  start(): Promise<void>
}

export interface Stack {
  readonly gateway: SampleGateway
  /** The one that runs now. */
  product(): Product
  /** SIGKILL, and another one on the same ledger. */
  killProduct(): Promise<void>
  readonly store: Restartable
  readonly collector: Restartable
  readonly prometheus: Prometheus
  /** Notified by the Alertmanager with the shipped configuration. */
  readonly webhook: Webhook
  /** Notified by the one without patience. */
  readonly quickWebhook: Webhook
  /** Spans, and log records, as they arrived behind the collector. */
  spans(): readonly OtlpRecord[]
  logs(): readonly OtlpRecord[]
  /** Where the collector takes OTLP over HTTP. */
  readonly otlpUrl: string
  stop(): Promise<void>
}

const addressNames = [
  'otlpGrpc',
  'otlpHttp',
  'health',
  'own',
  'prometheus',
  'alertmanager',
  'quick',
  'storeGrpc',
  'storeHttp',
  'storeHealth',
] as const

const portOf = (address: string) => address.slice(address.indexOf(':') + 1)

type Addresses = Awaited<ReturnType<typeof freeAddresses<(typeof addressNames)[number]>>>

/** Starts a program that ends with the stack. */
type Start = (options: Omit<ProgramOptions, 'folder'>) => Promise<Program>

export async function startStack(): Promise<Stack> {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-stack-'))
  const closing: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (const close of closing.reverse()) await close()
    rmSync(folder, { recursive: true, force: true })
  }
  /** Ends with the stack, in the reverse order of its start. */
  const keep = <Part>(part: Part, close: (part: Part) => Promise<unknown>): Part => {
    closing.push(() => close(part))
    return part
  }
  const start: Start = async (options) => keep(await startProgram({ ...options, folder }), (it) => it.stop())
  try {
    const at = await freeAddresses(...addressNames)
    const webhook = keep(await startWebhook(), (it) => it.close())
    const quickWebhook = keep(await startWebhook(), (it) => it.close())
    const shipped = readFileSync(alertmanagerPath, 'utf8')
    await startAlertmanager(start, at.alertmanager, join(folder, 'alertmanager'), shipped, webhook)
    await startAlertmanager(start, at.quick, join(folder, 'quick'), withoutPatience(shipped), quickWebhook)
    await startPrometheus(start, at, folder)
    const store = await restartable(() => start(storeOptions(at)))
    const collector = await restartable(() => start(collectorOptions(at, folder)))
    const gateway = keep(await startSampleGateway({ eventMs: 2 }), (it) => it.close())
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${at.otlpHttp}`,
      OTEL_METRIC_EXPORT_INTERVAL: '1000',
      OTEL_BSP_SCHEDULE_DELAY: '200',
      OTEL_LOGS_EXPORTER: 'otlp',
    }
    const ledger = join(folder, 'ledger.db')
    const settings = join(folder, 'tokenweir.yaml')
    // A forecast is absent in the first twentieth of its period. The last one is spent with the first answer.
    const budgets = ['day', 'month'].map((period) => `{name: ${period}ly, period: ${period}, usd: 100, tokens: 100000000}`)
    writeFileSync(settings, `budgets:\n${[...budgets, '{name: tiny, period: month, tokens: 1}'].map((one) => `  - ${one}\n`).join('')}`)
    const options = { upstream: gateway.url, ledger, env, args: ['--config', settings] }
    let product = await startProduct(options)
    keep(undefined, () => product.stop())
    return {
      ...{ gateway, store, collector, webhook, quickWebhook, stop },
      product: () => product,
      async killProduct() {
        await product.stop('SIGKILL')
        product = await startProduct(options)
      },
      prometheus: createPrometheus(`http://${at.prometheus}`),
      spans: () => recordsOf(join(folder, 'traces.jsonl')),
      logs: () => recordsOf(join(folder, 'logs.jsonl')),
      otlpUrl: `http://${at.otlpHttp}`,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function restartable(start: () => Promise<Program>): Promise<Restartable> {
  let running = await start()
  return {
    kill: () => running.kill(),
    stop: () => running.stop(),
    async start() {
      running = await start()
    },
  }
}

/** With the files that say where notifications go: they have one way for each kind of receiver. */
function startAlertmanager(start: Start, address: string, folder: string, text: string, { url }: Webhook): Promise<Program> {
  mkdirSync(folder)
  for (const receiver of ['page', 'ticket']) writeFileSync(join(folder, receiver), `${url}${receiver}`)
  const config = join(folder, 'alertmanager.yml')
  writeFileSync(config, text.replaceAll('/etc/alertmanager/receivers', folder))
  const args = [`--config.file=${config}`, `--storage.path=${join(folder, 'data')}`, `--web.listen-address=${address}`]
  return start({ tool: 'alertmanager', args: [...args, '--cluster.listen-address='], readyUrl: `http://${address}/-/ready` })
}

async function startPrometheus(start: Start, at: Addresses, folder: string): Promise<void> {
  const hosts = {
    'alertmanager:9093': `${at.alertmanager}", "${at.quick}`,
    'localhost:9090': at.prometheus,
    'otel-collector:8888': at.own,
  }
  const config = join(folder, 'prometheus.yml')
  writeFileSync(config, replaced(readFileSync(join(root, 'deploy/prometheus/prometheus.yml'), 'utf8'), hosts))
  mkdirSync(join(folder, 'rules'))
  copyFileSync(rulesPath, join(folder, 'rules/shipped.yaml'))
  copyFileSync(recordingRulesPath, join(folder, 'rules/recording.yaml'))
  writeFileSync(join(folder, 'rules/quick.yaml'), quickRules())
  const args = [`--config.file=${config}`, `--storage.tsdb.path=${join(folder, 'tsdb')}`, `--web.listen-address=${at.prometheus}`]
  const flags = ['--web.enable-otlp-receiver', '--enable-feature=exemplar-storage']
  await start({ tool: 'prometheus', args: [...args, ...flags], readyUrl: `http://${at.prometheus}/-/ready` })
}

/** What stands for Tempo and Loki. */
const storeOptions = (at: Addresses) => ({
  tool: 'otelcol' as const,
  args: ['--config', join(root, 'test/stack/store.yaml')],
  env: { STORE_GRPC: at.storeGrpc, STORE_HTTP: at.storeHttp, STORE_HEALTH: at.storeHealth },
  readyUrl: `http://${at.storeHealth}/`,
})

const collectorOptions = (at: Addresses, folder: string) => ({
  tool: 'otelcol' as const,
  args: ['--config', join(root, 'otel-collector.yaml')],
  env: {
    ...{ OTLP_GRPC: at.otlpGrpc, OTLP_HTTP: at.otlpHttp, OTEL_HEALTH: at.health, OTEL_METRICS_PORT: portOf(at.own) },
    ...{ OTEL_QUEUE_FOLDER: join(folder, 'queue'), OTEL_SPAN_METRICS_INTERVAL: '1s' },
    TEMPO_ENDPOINT: `http://${at.storeGrpc}`,
    LOKI_ENDPOINT: `http://${at.storeHttp}/otlp`,
    PROMETHEUS_ENDPOINT: `http://${at.prometheus}/api/v1/otlp`,
  },
  readyUrl: `http://${at.health}/`,
})
