/** The language of `--where`: every operator, on rows that the ledger's own sink wrote. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { openForReading } from '../../src/ledger/queries/open.ts'
import { readRequests } from '../../src/ledger/queries/requests.ts'
import { readSummary } from '../../src/ledger/queries/summary.ts'
import { conditionsOf } from '../../src/ledger/queries/where.ts'
import { exchangeOf, failedExchangeOf } from '../sinks/exchange-of.ts'
import { writeLedger } from './ledger-of.ts'

const folder = mkdtempSync(join(tmpdir(), 'tokenweir-where-'))
const path = join(folder, 'ledger.db')
const began = Date.UTC(2026, 10, 23, 12)
const at = (id: string) => ({ opening: { id, startedAt: began } })
const model = (name: string) => ({ request: { operation: 'chat', usageExpected: true, model: name, stream: true } })

writeLedger(path, {
  opened: [],
  ended: [
    exchangeOf({ ...at('a'), ...model('gpt-4o'), caller: 'one', labels: { team: 'search' } }),
    exchangeOf({ ...at('b'), ...model('GPT-4o-mini'), caller: 'two', labels: { team: '50%_off' }, provider: 'azure' }),
    exchangeOf({ ...at('c'), ...model('other'), response: { model: 'gpt-5', usage: { inputTokens: 900, outputTokens: 1 } } }),
    exchangeOf({ ...at('d'), ...model('other'), response: {}, usageOutcome: 'missing', usageReason: 'upstream_omitted' }),
    failedExchangeOf(429, at('e')),
  ],
})
const database = openForReading(path)
afterAll(() => {
  database.close()
  rmSync(folder, { recursive: true })
})

const range = { sinceMs: began - 1, untilMs: began + 1 }

describe('a condition', () => {
  it.each([
    [[], 'abcde'],
    [['provider=azure'], 'b'],
    [['caller=one', 'caller=two'], 'ab'],
    [['caller='], 'cde'],
    [['caller!='], 'ab'],
    [['caller!=one'], 'bcde'],
    [['caller!=one', 'caller!=two'], 'cde'],
    [['model~=gpt-4O-'], 'b'],
    [['any_model~=GPT-5'], 'c'],
    [['label:team=search'], 'a'],
    [['label:team~=%_'], 'b'],
    [['label:team!='], 'ab'],
    [['status>=400'], 'e'],
    [['status=200'], 'abcd'],
    [['status!=200'], 'e'],
    [['input_tokens>20', 'input_tokens<1e3'], 'c'],
    [['input_tokens<=20'], 'ab'],
    [['outcome=missing', 'outcome=zero'], 'd'],
    [['outcome!=reported'], 'de'],
    [['reason=upstream_omitted'], 'd'],
    [['error!='], 'e'],
    [['status<400', ' model = gpt-4o'], ''],
    [['status<400', ' model =gpt-4o'], 'a'],
  ])('%j finds %j', (texts, ids) => {
    const where = conditionsOf(texts)
    const { requests } = readRequests(database, { ...range, where, limit: 10 })
    expect(requests.map(({ id }) => id).sort()).toEqual([...ids])
    expect(readSummary(database, { range, sets: [], where, groupsMax: 1 }).total.requests).toBe(ids.length)
  })

  it.each([
    ['planet=mars', 'Write provider, model, caller'],
    ['status', 'then one of = != ~= > >= < <= and a value'],
    ['status~=4', 'status is a number. Compare it with = != > >= < or <=.'],
    ['model>gpt', 'model is a text. Compare it with = != or ~=.'],
    ['status>=many', '"many" is not a number.'],
    ['status>', '> needs a value.'],
    ["label:x'y=1", 'Write provider'],
    ['constructor=1', 'Write provider'],
  ])('%j is refused with what to write', (text, sentence) => {
    expect(() => conditionsOf([text])).toThrow(sentence)
  })
})
