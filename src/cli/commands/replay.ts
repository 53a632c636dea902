/** `tokenweir replay FILE`: shows what the sidecar would have recorded of a recorded exchange, and why. */
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { Config } from '../../config/config.ts'
import type { Outcome, ResponseFacts, Usage } from '../../lib/exchange.ts'
import { cell, cut, terminalWidth } from '../../lib/terminal.ts'
import type { Recording } from '../replay/recording.ts'
import type { Replayed } from '../replay/replay.ts'
import { type CommandContext, type Environment, exit, explain, type Io, painter, refuse } from './context.ts'
import { folded } from './text.ts'

interface Options {
  readonly request?: string
  readonly response?: string
  readonly entry?: string
  readonly ended: string
  readonly json?: boolean
}

const endings: Readonly<Record<string, Outcome>> = {
  answered: { kind: 'answered' },
  'client-aborted': { kind: 'client-aborted' },
  'upstream-aborted': { kind: 'upstream-aborted' },
}

const help = `
A recording is a HAR file, as browsers and proxies save it, or a JSON file
{"request": {"method", "path", "headers", "body"}, "response": {"status", "headers", "body"}}; use "body_base64" for bytes that
are not text. The rules for providers and the prices are those of --config, and --upstream is the host that responded.
Nothing is sent and nothing is written.

Examples:
  tokenweir replay exchange.json
  tokenweir replay session.har --entry 3
  curl -is http://127.0.0.1:8000/v1/chat/completions -d @asked.json > answer.txt
  tokenweir replay --request asked.txt --response answer.txt`

export function replayCommand({ program, env, io, flags, end, refuseUse }: CommandContext): void {
  program
    .command('replay')
    .description('show what would be recorded of one recorded exchange, and why')
    .argument('[file]', 'the recording; - is standard input')
    .option('--request <file>', 'the request as an HTTP message, instead of a recording')
    .option('--response <file>', 'the response as an HTTP message')
    .option('--entry <number>', 'which entry of a HAR file')
    .option(`--ended <${Object.keys(endings).join('|')}>`, 'how the exchange ended', 'answered')
    .option('--json', 'print one JSON document')
    .addHelpText('after', help)
    .action(async (file: string | undefined, options: Options, { args }: Command) => {
      const outcome = endings[options.ended]
      if (args.length > 1) return refuseUse(`${JSON.stringify(args[1])} is one argument too many.`)
      if (outcome === undefined) return refuseUse(`--ended ${JSON.stringify(options.ended)} is none of ${Object.keys(endings).join(', ')}.`)
      const misuse = misuseOf(file, options)
      if (misuse !== undefined) return refuseUse(misuse)
      const { loadConfig } = await import('../../config/config.ts')
      const loaded = await loadConfig({ flags: flags(), env, readFile: io.readFile, upstreamNeeded: false })
      if ('errors' in loaded) return end(await refuse(loaded.errors, env, io))
      const recording = await readFrom(file, options)
      const replayed = await readThrough(recording, loaded.config, outcome)
      if (options.json === true) io.stdout.write(`${JSON.stringify(documentOf(recording, replayed), undefined, 2)}\n`)
      else show(recording, replayed, io, env)
      end(exit.done)
    })
}

function misuseOf(file: string | undefined, { request, response, entry }: Options): string | undefined {
  const messages = [request, response].filter((one) => one !== undefined).length
  if (messages === 1 || (messages === 2 && file !== undefined)) return '--request and --response belong together, without a FILE.'
  if (messages === 0 && file === undefined) return 'Name the recording, or - for standard input.'
  if (entry !== undefined && !/^[1-9]\d{0,6}$/.test(entry)) return `--entry ${JSON.stringify(entry)} is no number from 1 on.`
  return undefined
}

/** Throws with a message that says what is wrong with the file. */
async function readFrom(file: string | undefined, { request, response, entry }: Options): Promise<Recording> {
  const { readRecording, recordingOfMessages } = await import('../replay/recording.ts')
  if (file === undefined) return recordingOfMessages(bytesOf(request ?? '-'), bytesOf(response ?? '-'))
  try {
    return readRecording(bytesOf(file).toString('utf8'), entry === undefined ? undefined : Number(entry))
  } catch (error) {
    throw new Error(`${file === '-' ? 'Standard input' : file}: ${explain(error)}`)
  }
}

function bytesOf(file: string): Buffer {
  try {
    return readFileSync(file === '-' ? 0 : file)
  } catch (error) {
    throw new Error(`The file cannot be read (${(error as NodeJS.ErrnoException).code}).`)
  }
}

async function readThrough(recording: Recording, config: Config, outcome: Outcome): Promise<Replayed> {
  const { createPricer } = await import('../../conclude/pricing/pricer.ts')
  const { loadPriceTable } = await import('../../conclude/pricing/table.ts')
  const { replay } = await import('../replay/replay.ts')
  const pricer = createPricer({ prices: config.prices, loadTable: () => loadPriceTable(config.pricesFile) })
  await pricer.load()
  return replay(recording, { config, pricer, outcome, at: Date.now() })
}

function documentOf({ method, path, status }: Recording, { exchange, ...why }: Replayed) {
  const { operation, request, response, usageOutcome, usageReason, endReason, errorType, cost, notes } = exchange
  return { method, path, status, ...why, operation, request, response, endReason, usageOutcome, usageReason, errorType, cost, notes }
}

const nameWidth = 10

function show(recording: Recording, replayed: Replayed, io: Io, env: Environment): void {
  const paint = painter(io.stdout, env)
  const width = terminalWidth(io.stdout, env) ?? Number.POSITIVE_INFINITY
  const entry = (name: string, text: string) => {
    const [first = '', ...more] = folded(text, width - nameWidth - 1)
    return [`${paint.bold(cell(name, nameWidth))} ${first}`, ...more.map((line) => ' '.repeat(nameWidth + 1) + line)]
  }
  const { exchange, framing, format, provider, messages, lessons } = replayed
  const { usageOutcome, usageReason } = exchange
  const asked = exchange.request
  const lines = [
    cut(`${recording.method} ${recording.path} → ${recording.status}, ${recording.responseBody.length} bytes`, width),
    '',
    ...entry('framing', `${framing.name}: ${framing.why}`),
    ...entry('format', `${format.name ?? 'none'}: ${format.why}`),
    ...entry(
      'provider',
      provider.name === undefined ? 'none: this is not an inference request' : `${provider.name}: by the rule ${provider.rule}`,
    ),
    ...entry(
      'asked for',
      `${exchange.operation ?? 'no inference'}${asked?.model === undefined ? '' : ` of ${asked.model}`}${asked?.stream === true ? ', streamed' : ''}`,
    ),
    ...entry('messages', String(messages)),
    ...lessons.flatMap(({ message, event, facts }) => {
      const from = message === 0 ? 'headers' : `${message}${event === undefined ? '' : ` ${event}`}`
      return folded(`${from}: ${factsText(facts)}`, width - 4).map((line, index) => `${index === 0 ? '  ' : '    '}${line}`)
    }),
    ...entry('ended', `${exchange.endReason}${exchange.errorType === undefined ? '' : `, error ${exchange.errorType}`}`),
    ...entry(
      'usage',
      `${usageOutcome ?? 'none is due'}${usageReason === undefined ? '' : ` (${usageReason})`}${usageText(exchange.response?.usage)}`,
    ),
    ...entry('cost', costText(replayed)),
    ...(exchange.notes.length === 0 ? [] : entry('notes', exchange.notes.join(', '))),
  ]
  const isGood = usageOutcome === 'reported' || usageOutcome === undefined
  io.stdout.write(`${lines.map((line) => (line.includes(' usage') && !isGood ? paint.yellow(line) : line)).join('\n')}\n`)
}

function factsText(facts: Partial<ResponseFacts>): string {
  const texts: Readonly<Record<string, string>> = {
    id: `id ${facts.id}`,
    model: `model ${facts.model}`,
    finishReasons: `finish reasons ${facts.finishReasons?.filter((reason) => reason !== '').join(', ')}`,
    usage: `usage${usageText(facts.usage)}`,
    usageOfIterations: `usage of its iterations${usageText(facts.usageOfIterations)}`,
    finished: 'the end of the answer',
    error: `error ${facts.error?.type}`,
    serviceTier: `service tier ${facts.serviceTier}`,
    systemFingerprint: `fingerprint ${facts.systemFingerprint}`,
    provider: `provider ${facts.provider}`,
    reportedCostUsd: `cost ${facts.reportedCostUsd} USD`,
    usageNotUnderstood: 'a usage object of which nothing could be read',
  }
  return Object.keys(facts)
    .map((name) => texts[name] ?? name)
    .join('; ')
}

const countNames = {
  inputTokens: 'input',
  outputTokens: 'output',
  cacheReadTokens: 'cache read',
  cacheWriteTokens: 'cache write',
  reasoningTokens: 'reasoning',
  totalTokens: 'total',
} as const satisfies Partial<Record<keyof Usage, string>>

/** Leaves out what was not reported. */
function usageText(usage: Usage | undefined): string {
  if (usage === undefined) return ''
  const counts = Object.entries(countNames).flatMap(([key, name]) => {
    const count = usage[key as keyof Usage]
    return count === undefined ? [] : [`${count} ${name}`]
  })
  return counts.length === 0 ? '' : `: ${counts.join(', ')}`
}

const sources = { table: 'the table of public prices', custom: 'the configured prices', reported: 'the provider itself' } as const

function costText({ exchange: { cost, response } }: Replayed): string {
  if (cost === undefined) return 'none is due'
  if (cost.status !== 'unpriced') return `${cost.usd} USD, by ${sources[cost.source]}`
  return `not known: ${response?.usage === undefined ? 'there is no usage to price' : 'no price for this model'}`
}
