/** What an alert is, whoever evaluates it. */
import type { Counts } from './counts.ts'

/** `page`: somebody gets up. `ticket`: somebody looks within days. */
export type Severity = 'page' | 'ticket'

export interface Alert {
  /** Behind `Tokenweir`; its section in docs/alerts.md has the same name. */
  readonly name: string
  readonly severity: Severity
  readonly expr: string
  /** Seconds for which the condition must hold. */
  readonly forSeconds: number
  /** Seconds for which it goes on firing after the condition has ended, so that it does not flap. */
  readonly keepSeconds: number
  /** One line, with the labels and the value of the alert as Go templates. */
  readonly summary: string
  readonly impact: string
  readonly firstSteps: string
  /** Name of the dashboard's page. */
  readonly dashboard: string
  /** TraceQL that finds the spans behind the alert, with Go templates of its labels. */
  readonly traceQl?: string
}

export interface AlertOptions {
  /** Every duration is multiplied by it: 1 is what is shipped, 1/60 makes seconds of minutes, for a test that waits for an alert. */
  readonly scale: number
  /** Share of requests that may fail: 0.01 is an objective of 99 %. */
  readonly errorBudget: number
  /** Seconds to the first chunk that one stream in ten may take longer than. */
  readonly firstChunkSeconds: number
}

export const shipped: AlertOptions = { scale: 1, errorBudget: 0.01, firstChunkSeconds: 10.24 }

/** What the makers of alerts work with. */
export interface Making extends AlertOptions {
  readonly counts: Counts
  /** Scaled, in whole seconds, at least one. */
  seconds(real: number): number
}

/** `ZeroUsageBurst` → `zero-usage-burst`. */
export const kebab = (name: string): string => name.replace(/(?<!^)([A-Z])/g, '-$1').toLowerCase()
/** Of the section in docs/alerts.md. */
export const anchorOf = (name: string): string => `tokenweir${name.toLowerCase()}`
