/** What leaves row by row: spans and log records. Metrics leave as they stand. */
export type Signal = 'traces' | 'logs'
export const signals: readonly Signal[] = ['traces', 'logs']

/** The word for its records in a sentence. */
export const recordsOf: Readonly<Record<Signal, string>> = { traces: 'spans', logs: 'log records' }
