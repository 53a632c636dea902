/** ending → the finished exchange: concluded, then estimated where counts are missing and estimates are on, then priced. */
import { conclude, type RequestReading, readRequest } from '../conclude/conclude.ts'
import { createFirstSight, type FirstSight } from '../conclude/counted.ts'
import type { Estimator } from '../conclude/estimates/estimator.ts'
import type { LabelReader } from '../conclude/labels.ts'
import type { Pricer } from '../conclude/pricing/pricer.ts'
import { createAttributor } from '../conclude/providers/attribution.ts'
import type { Config } from '../config/config.ts'
import type { Ending, Exchange, Opening, TextSample } from '../lib/exchange.ts'

/** What is kept of a request's body until its answer has come. */
interface Reading {
  readonly request: RequestReading
  /** Only when estimates are on. */
  readonly text: TextSample | undefined
}

export interface Assessment {
  readRequest(opening: Opening, body: Uint8Array | undefined): Reading
  conclude(opening: Opening, ending: Ending, reading: Reading, responseBody: Uint8Array | undefined): Exchange
}

export interface AssessmentOptions {
  readonly config: Pick<Config, 'limits' | 'providers' | 'routes'>
  readonly pricer: Pricer
  /** None when there are no labels. */
  readonly labelsOf?: LabelReader | undefined
  /** None when estimates are off. */
  readonly estimator: Estimator | undefined
  /** Where it outlives a change of the settings. */
  readonly isFirstSight?: FirstSight
}

export function createAssessment({
  config,
  pricer,
  estimator,
  labelsOf,
  isFirstSight = createFirstSight(),
}: AssessmentOptions): Assessment {
  const { limits, providers, routes } = config
  const { attribute } = createAttributor({ own: providers })
  const basePaths = new Map(routes.map(({ name, upstream }) => [name, upstream.pathname.replace(/\/+$/, '')]))
  const attribution = { attribute, basePathOf: (route: string) => basePaths.get(route), isFirstSight }
  return {
    readRequest: (opening, body) => ({ request: readRequest(opening, body), text: estimator?.textOfRequest(opening, body) }),
    conclude(opening, ending, reading, responseBody) {
      const concluded = conclude(opening, ending, reading.request, responseBody, limits, attribution)
      const exchange = estimator?.estimated(concluded, reading.text, responseBody) ?? concluded
      const cost = pricer.costOf(exchange)
      const labels = labelsOf?.(exchange, reading.request.outline)
      return cost === undefined && labels === undefined ? exchange : { ...exchange, cost, labels }
    },
  }
}
