/** `tokenweir prices`: which prices are in effect, of a model or of all, where they come from and how old they are. */
import type { PriceTable } from '../../conclude/pricing/table.ts'
import { type ModelPrice, priceParts } from '../../config/config.ts'
import type { Period, Price, PriceRow, Prices } from '../../config/price-file.ts'
import { type CommandContext, complain, type Environment, exit, explain, type Flags, type Io, painter, refuse } from './context.ts'

export function pricesCommand({ program, env, io, flags, end, refuseUse }: CommandContext): void {
  program
    .command('prices')
    .argument('[model]', 'a model, exactly as the provider names it')
    .description('show the prices in effect, of one model or of all')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Your own prices (prices and pricesFile in the configuration) have priority over what
a provider reports, and that over the built-in table. Amounts are USD per million
tokens, or per thousand requests or searches.

Examples:
  tokenweir prices
  tokenweir prices gpt-4o-mini
  tokenweir prices us.anthropic.claude-sonnet-4-5-20250929-v1:0 --json`,
    )
    .action(async (model: string | undefined, options: { readonly json?: true }, { args }: { args: readonly string[] }) => {
      if (args.length > 1) return refuseUse(`${JSON.stringify(args[1])} is one argument too many.`)
      end(await prices(model, options.json === true, flags(), env, io))
    })
}

async function prices(model: string | undefined, json: boolean, flags: Flags, env: Environment, io: Io): Promise<number> {
  const { loadConfig } = await import('../../config/config.ts')
  const loaded = await loadConfig({ flags, env, readFile: io.readFile, upstreamNeeded: false })
  if ('errors' in loaded) return refuse(loaded.errors, env, io)
  const { config } = loaded
  const { loadPriceTable } = await import('../../conclude/pricing/table.ts')
  const { matchesModel } = await import('../../conclude/pricing/custom.ts')
  let table: PriceTable
  try {
    table = await loadPriceTable(config.pricesFile)
  } catch (error) {
    complain(io, env, explain(error))
    return exit.failed
  }
  const own = config.prices.filter((line) => model === undefined || matchesModel(line, model))
  const rows = model === undefined ? table.rows() : table.rowsOf(model)
  const { bold, dim } = painter(io.stdout, env)
  if (json) {
    io.stdout.write(`${JSON.stringify({ date: table.date, pricesFile: config.pricesFile, own, rows }, null, 2)}\n`)
  } else {
    io.stdout.write(model === undefined ? overviewOf(table, config.pricesFile, rows, own.length, bold) : pricesOf(own, rows, bold, dim))
  }
  if (model === undefined || own.length + rows.length > 0) return exit.done
  complain(
    io,
    env,
    `No price of ${JSON.stringify(model)} is known: its answers are unpriced unless the provider reports what they cost. Add a line to prices.`,
  )
  return exit.failed
}

type Paint = (text: string) => string

function overviewOf(table: PriceTable, file: string | undefined, rows: readonly PriceRow[], own: number, bold: Paint): string {
  const days = Math.floor((Date.now() - Date.parse(table.date)) / 86_400_000)
  const counts = new Map<string, number>()
  for (const { provider, names } of rows) counts.set(provider, (counts.get(provider) ?? 0) + names.length)
  const lines = [...counts].map(([provider, names]) => `  ${provider.padEnd(24)} ${String(names).padStart(5)}`)
  const sources = table.sources().map(({ name, version, date, licence }) => `  ${name} ${version} (${date}, ${licence})`)
  return [
    `${bold('Table of prices')} of ${table.date} (${days} ${days === 1 ? 'day' : 'days'} old)${file === undefined ? '' : `, under ${file}`}`,
    ...sources,
    `${bold('Lines of your own')}: ${own}`,
    bold('Names with a price, by provider'),
    ...lines,
    '',
  ].join('\n')
}

function pricesOf(own: readonly ModelPrice[], rows: readonly PriceRow[], bold: Paint, dim: Paint): string {
  const lines = own.map((line) => `${bold('your own')}  ${line.provider ?? 'every provider'}  ${line.model}\n${ownText(line)}\n`)
  const tables = rows.map(({ provider, names, periods, sources }) => {
    const texts = periods.map((period) => periodText(period, dim))
    return `${bold(provider)}  ${names.join(', ')}\n${texts.join('')}${dim(`  source: ${sources.join(', ')}`)}\n`
  })
  return [...lines, ...tables].join('\n')
}

function ownText(line: ModelPrice): string {
  if (line.free) return '  free'
  const amounts = priceParts.flatMap((part) => (line[part] === undefined ? [] : [`${part} ${line[part]}`]))
  const conditions = [
    ...(line.tier === undefined ? [] : [`tier ${line.tier}`]),
    ...(line.above === undefined ? [] : [`above ${line.above} input tokens`]),
    ...(line.from === undefined ? [] : [`from ${new Date(line.from).toISOString()}`]),
    ...(line.until === undefined ? [] : [`until ${new Date(line.until).toISOString()}`]),
  ]
  return `  ${[...amounts, ...conditions].join(', ')}`
}

function periodText({ from, prices: standard, tiers, factors }: Period, dim: Paint): string {
  const tierTexts = Object.entries(tiers ?? {}).map(([tier, of]) => `    ${tier}: ${kindsText(of as Prices)}\n`)
  const factorTexts = Object.entries(factors ?? {}).map(([place, factor]) => `    ${place}: × ${factor}\n`)
  return `  ${dim(from === undefined ? 'from the beginning' : `from ${from}`)}\n    ${kindsText(standard)}\n${tierTexts.join('')}${factorTexts.join('')}`
}

function kindsText(of: Prices): string {
  return Object.entries(of)
    .flatMap(([kind, price]) =>
      price === undefined ? [] : [`${kind.replace(/_(mtok|kcount)$/, '').replaceAll('_', ' ')} ${priceText(price)}`],
    )
    .join(', ')
}

function priceText(price: Price): string {
  if (typeof price === 'number') return String(price)
  return `${price.base} (${price.tiers.map(({ start, price: above }) => `above ${start}: ${above}`).join(', ')})`
}
