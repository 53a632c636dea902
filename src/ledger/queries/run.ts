/** A question → its answer, out of an open ledger. */
import type { DatabaseSync } from 'node:sqlite'
import { readDistribution } from './distribution.ts'
import { readGroups } from './groups.ts'
import { readHeatmap } from './heatmap.ts'
import type { Answers, Question } from './queries.ts'
import { readLedgerState, readRequest, readRequests } from './requests.ts'
import { readLatency, readSeries } from './series.ts'
import { readSpent, readSummary } from './summary.ts'

export function answer(database: DatabaseSync, path: string, question: Question): Answers[Question['kind']] {
  switch (question.kind) {
    case 'summary':
      return readSummary(database, question)
    case 'spent':
      return readSpent(database, question)
    case 'latency':
      return readLatency(database, question.range)
    case 'series':
      return readSeries(database, question)
    case 'groups':
      return readGroups(database, question)
    case 'heatmap':
      return readHeatmap(database, question)
    case 'distribution':
      return readDistribution(database, question)
    case 'requests':
      return readRequests(database, question.filter)
    case 'request':
      return readRequest(database, question.id)
    case 'state':
      return readLedgerState(database, path)
  }
}
