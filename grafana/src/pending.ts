/** Metrics of the durable spool and ledger, until the catalog has them. */
import type { AttributeName } from '../../src/telemetry/catalog.ts'

const counter = <Label extends AttributeName | 'signal'>(unit: string, ...labels: Label[]) =>
  ({ kind: 'counter', unit, labels, description: '' }) as const
const updown = <Label extends AttributeName | 'signal'>(unit: string, ...labels: Label[]) =>
  ({ kind: 'updown', unit, labels, description: '' }) as const

export const pending = {
  'tokenweir.spool.depth': updown('{record}', 'signal'),
  'tokenweir.spool.bytes': updown('By', 'signal'),
  'tokenweir.spool.oldest_age': updown('s', 'signal'),
  'tokenweir.spool.written': counter('{record}', 'signal'),
  'tokenweir.spool.delivered': counter('{record}', 'signal'),
  'tokenweir.spool.replayed': counter('{record}', 'signal'),
  'tokenweir.spool.dropped': counter('{record}', 'signal', 'reason'),
  'tokenweir.spool.failures': counter('{request}', 'signal'),
  'tokenweir.ledger.expired': counter('{row}'),
  'tokenweir.ledger.bytes': updown('By'),
  'tokenweir.ledger.writable': updown('{ledger}'),
  'tokenweir.recorder.restarts': counter('{restart}'),
} as const
