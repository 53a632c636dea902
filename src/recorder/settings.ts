/**
 * How exchanges are concluded: by settings that can change while the recorder runs. An exchange is concluded by those of the moment at which it is
 * concluded; what its opening holds (route, upstream, caller, request headers) is of the moment at which it began.
 */
import { createFirstSight } from '../conclude/counted.ts'
import { createEstimator, type Estimator } from '../conclude/estimates/estimator.ts'
import { createLabelReader, type LabelReader } from '../conclude/labels.ts'
import { createPricer } from '../conclude/pricing/pricer.ts'
import { loadPriceTable } from '../conclude/pricing/table.ts'
import type { Config } from '../config/config.ts'
import { wordFor } from '../config/labels.ts'
import { readSalt } from '../lib/salt.ts'
import type { Meter } from '../telemetry/meter.ts'
import { type Assessment, createAssessment } from './assess.ts'
import { createMapFiles, type MapFiles } from './map-files.ts'
import { watchPrices } from './prices.ts'

export interface SettingsOptions {
  readonly config: Config
  readonly meter: Meter
  /** A sentence for the operator. */
  readonly report: (sentence: string) => void
}

export interface Settings extends Assessment {
  /** The readable name of a caller, where the operator has given it one. */
  nameOf(caller: string): string | undefined
  /** YYYY-MM-DD of the table of prices; undefined until it is loaded. */
  pricesDate(): string | undefined
  /** At once, but for files that have to be loaded first: until then those of before are used. Gives the files that were read. */
  use(config: Config): Promise<readonly string[]>
  stop(): void
}

/** Resolves when all is loaded: a kill must not find an exchange that waits for something to be loaded. Files that cannot be read are told. */
export async function createSettings({ config, meter, report }: SettingsOptions): Promise<Settings> {
  let current = config
  let estimator = estimatorOf(config)
  const pricer = createPricer({ prices: config.prices, loadTable: () => loadPriceTable(current.pricesFile) })
  const isFirstSight = createFirstSight()
  const [priceWatch, mapFiles] = await Promise.all([
    watchPrices({ pricer, file: config.pricesFile, meter, report, now: Date.now }),
    createMapFiles({ paths: mapPaths(config), report, now: () => performance.now() }),
    load(estimator, report),
  ])
  const assessmentOf = () =>
    createAssessment({ config: current, pricer, estimator, isFirstSight, labelsOf: labelReader(current, meter, mapFiles) })
  let assessment = assessmentOf()
  return {
    readRequest: (opening, body) => assessment.readRequest(opening, body),
    conclude: (...exchange) => assessment.conclude(...exchange),
    nameOf: (caller) => wordFor(caller, mapFiles.wordsOf(current.callerNamesFile)) ?? wordFor(caller, current.callerNames),
    pricesDate: pricer.date,
    async use(next) {
      const before = current
      current = next
      pricer.use(next.prices)
      const isOther = before.estimates.enabled !== next.estimates.enabled || before.limits.bodyBytes !== next.limits.bodyBytes
      if (isOther) estimator = estimatorOf(next)
      assessment = assessmentOf()
      const [prices, maps] = await Promise.all([
        priceWatch.use(next.pricesFile),
        mapFiles.use(mapPaths(next)),
        isOther && load(estimator, report),
      ])
      return [...prices, ...maps]
    },
    stop: priceWatch.stop,
  }
}

const mapPaths = ({ callerNamesFile, labels }: Config) => [callerNamesFile, ...labels.map(({ mapFile }) => mapFile)]

function estimatorOf({ estimates, limits }: Config): Estimator | undefined {
  return estimates.enabled ? createEstimator({ bodyBytesMax: limits.bodyBytes }) : undefined
}

async function load(estimator: Estimator | undefined, report: SettingsOptions['report']): Promise<void> {
  try {
    await estimator?.load()
  } catch (error) {
    report(`Nothing is estimated: the tokenizer could not be loaded (${error instanceof Error ? error.message : String(error)}).`)
  }
}

function labelReader({ labels, ledger }: Config, meter: Meter, mapFiles: MapFiles): LabelReader | undefined {
  if (labels.length === 0) return undefined
  return createLabelReader({
    labels,
    mapOf: ({ mapFile }) => mapFiles.wordsOf(mapFile),
    salt: labels.some(({ hash }) => hash) ? readSalt(`${ledger}.salt`) : undefined,
    onDropped: (label, reason) => meter.counter('tokenweir.labels.dropped', { label, reason }).add(1),
  })
}
