import type { Page } from '../layout.ts'
import { runbookPage } from '../runbook.ts'
import { latencyPage } from './latency.ts'
import { overviewPage } from './overview.ts'
import { reliabilityPage } from './reliability.ts'
import { sidecarPage } from './sidecar.ts'
import { tokensPage } from './tokens.ts'
import { whoPage } from './who.ts'
import { zeroUsagePage } from './zero-usage.ts'

/** In the order of the documents. */
export const pages: readonly Page[] = [
  overviewPage,
  tokensPage,
  whoPage,
  latencyPage,
  zeroUsagePage,
  reliabilityPage,
  sidecarPage,
  runbookPage,
]
