/** `tokenweir tail`: golden lines at every width, the filters, and a ledger that goes on growing. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { followLedger } from '../../src/cli/tail/follow.ts'
import { columns } from '../../src/ledger/columns.ts'
import { conditionsOf } from '../../src/ledger/queries/where.ts'
import { cleanEnvironment, startProduct } from '../e2e/product.ts'
import { runOn, terminals, visible } from './terminal.ts'

process.env['TZ'] = 'UTC'
const folder = mkdtempSync(join(tmpdir(), 'tokenweir-tail-'))
const ledger = join(folder, 'ledger.db')
afterAll(() => rmSync(folder, { recursive: true }))

type Values = Readonly<Record<string, string | number | null>>

const well: Values = {
  ...{ method: 'POST', path: '/v1/chat/completions', route: 'default', end_reason: 'completed', status: 200, streamed: 1 },
  ...{ provider: 'openai', request_model: 'gpt-4o', response_model: 'gpt-4o-2026-03-11', caller: 'key:0123456789' },
  ...{ usage_outcome: 'reported', input_tokens: 1234, output_tokens: 567, cost: 0.0087, duration_ms: 1234.5 },
}

const rows: readonly Values[] = [
  well,
  { ...well, provider: 'anthropic', response_model: 'claude-sonnet-5-5', input_tokens: 1_234_567, duration_ms: 98.7, caller: null },
  { ...well, usage_outcome: 'missing', usage_reason: 'upstream_omitted', input_tokens: null, output_tokens: null, cost: null },
  {
    ...well,
    status: 429,
    error_type: '429',
    usage_outcome: null,
    response_model: null,
    input_tokens: null,
    output_tokens: null,
    cost: null,
  },
  {
    ...well,
    ...{ end_reason: 'client-aborted', usage_outcome: 'partial', usage_reason: 'client_left', output_tokens: 1, cost: 0.0001 },
    response_model: 'org/نموذج-\u202ethe-name-of-which-is-much-longer-than-any-column\u001b[31m-模型',
  },
  {
    ...well,
    end_reason: 'unreachable',
    status: 502,
    error_type: 'connect',
    provider: null,
    response_model: null,
    request_model: null,
    usage_outcome: null,
    input_tokens: null,
    output_tokens: null,
    cost: null,
    duration_ms: 123_456,
  },
  { ...well, usage_outcome: 'zero', input_tokens: 0, output_tokens: 0, cost: 0, provider: 'a.very.long.provider.name' },
]

const database = new DatabaseSync(ledger)
const definitions = columns.map(({ name, type }) => `${name} ${type}${name === 'id' ? ' PRIMARY KEY NOT NULL' : ''}`)
database.exec(`PRAGMA application_id = ${0x74776572}; CREATE TABLE exchanges (${definitions.join(', ')})`)
afterAll(() => database.close())

function insert(values: Values, index: number): void {
  const startedAt = Date.UTC(2026, 10, 23, 12, 0, index)
  const row: Values = {
    id: `id-${String(index).padStart(3, '0')}`,
    started_at: startedAt,
    ended_at: startedAt + 500,
    trace_id: 't',
    span_id: 's',
    ...values,
  }
  const names = Object.keys(row)
  database
    .prepare(`INSERT OR REPLACE INTO exchanges (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`)
    .run(...Object.values(row))
}

beforeAll(() => rows.forEach(insert))

const tail = (args: readonly string[]) => ['tail', '--ledger', ledger, '--no-follow', ...args]

describe('tail', () => {
  it.each(terminals)('looks as it should: $name', async ({ name, ...terminal }) => {
    const { code, stdout, stderr } = await runOn(terminal, tail([]))
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    await expect(visible(stdout)).toMatchFileSnapshot(`golden/tail-${name}.txt`)
  })

  it.each([
    [['--provider', 'anthropic'], [1]],
    [['--model', 'CLAUDE'], [1]],
    [['--caller', 'key:0123456789', '--outcome', 'zero'], [6]],
    [['--errors'], [3, 5]],
    [['--zero'], [2, 4, 6]],
    [
      ['-n', '2'],
      [5, 6],
    ],
    [['-n', '0'], []],
    [
      ['--where', 'status>=400'],
      [3, 5],
    ],
    [
      ['--where', 'outcome=zero', '--where', 'outcome=partial'],
      [4, 6],
    ],
    [
      ['--where', 'provider=openai', '--where', 'duration_ms<=1234.5', '--zero'],
      [2, 4],
    ],
    [['--model', 'gpt-4o', '-n', '1', '--where', 'error='], [6]],
    [['-n', '1', '--errors'], [5]],
  ])('shows only what is asked for: %s', async (args, indexes) => {
    const { stdout } = await runOn({ columns: undefined, colour: false }, tail(['--json', ...args]))
    const ids = stdout.split('\n').flatMap((line) => (line === '' ? [] : [(JSON.parse(line) as { id: string }).id]))
    expect(ids).toEqual(indexes.map((index) => `id-00${index}`))
  })

  it.each([
    [['--ledger', join(folder, 'none.db')], 1, `There is no ledger ${join(folder, 'none.db')} yet.`],
    [['--outcome', 'bad'], 2, '--outcome "bad" is none of reported, zero, partial, missing, undecodable.'],
    [['--where', 'status~=4'], 2, 'status is a number. Compare it with = != > >= < or <=. See tokenweir --help.'],
    [['-n', 'many'], 2, '-n "many" is not a whole number up to 100000.'],
  ])('says what is wrong: %s', async (args, code, sentence) => {
    const result = await runOn({ columns: 80, colour: false }, ['tail', ...args])
    expect([result.code, result.stderr]).toEqual([code, expect.stringContaining(sentence)])
  })

  it('steers no terminal, as JSON neither, and in no complaint', async () => {
    const pipe = { columns: undefined, colour: false }
    const model = 'a\u009b2Jb\u061cc\u202ed'
    insert({ ...well, response_model: model, provider: 'control' }, 30)
    const { stdout } = await runOn(pipe, tail(['--provider', 'control', '--json']))
    expect([stdout.includes('a\\u009b2Jb\\u061cc\\u202ed'), JSON.parse(stdout).response_model]).toEqual([true, model])
    expect((await runOn(pipe, tail(['--provider', 'control']))).stdout).toContain('a\\u009b2Jb\\u061cc\\u202ed')
    expect((await runOn(pipe, ['tail', '-n', '\u009b2J'])).stderr).toContain('"\\u009b2J" is not a whole number')
    expect((await runOn(pipe, ['tail', '--ledger', 'a\u001b[2J\u202e'])).stderr).toContain('a\\u001b[2J\\u202e yet')
    database.exec("DELETE FROM exchanges WHERE provider = 'control'")
  })

  it('gives each request once, whichever way its row is closed', () => {
    insert({ ...well, end_reason: null, ended_at: null }, 20)
    const follower = followLedger(ledger)
    insert({ ...well, end_reason: null, ended_at: null }, 21)
    insert({ ...well }, 22)
    const ids = () => follower.next().map(({ id }) => id)
    expect(ids()).toEqual(['id-022'])
    insert({ ...well }, 20) // written anew, under another rowid
    database.exec("UPDATE exchanges SET end_reason = 'sidecar-stopped' WHERE end_reason IS NULL") // in place
    expect(ids()).toEqual(['id-020', 'id-021'])
    expect(ids()).toEqual([])
    follower.close()
  })

  it('follows only what is asked for, also where it ends later', () => {
    insert({ ...well, end_reason: null, ended_at: null, status: null }, 40)
    const follower = followLedger(ledger, conditionsOf(['status=500']))
    onTestFinished(() => follower.close())
    for (const index of [41, 42]) insert({ ...well, end_reason: null, ended_at: null, status: null }, index)
    insert({ ...well, status: 500 }, 43)
    insert({ ...well, status: 200 }, 44)
    expect(follower.next().map(({ id }) => id)).toEqual(['id-043'])
    insert({ ...well, status: 500 }, 40)
    for (const [index, status] of [
      [41, 200],
      [42, 500],
    ]) {
      database.exec(`UPDATE exchanges SET end_reason = 'completed', status = ${status} WHERE id = 'id-0${index}'`) // in place
    }
    const rows = follower.next()
    expect(rows.map(({ id }) => id)).toEqual(['id-040', 'id-042'])
    expect(Object.keys(rows[0] ?? {})).toEqual(columns.map(({ name }) => name))
    database.exec("DELETE FROM exchanges WHERE id LIKE 'id-04%'")
  })

  it('prints requests of a running sidecar as they end, and ends with 0 at Ctrl-C', async () => {
    const gateway = await startSampleGateway()
    onTestFinished(() => gateway.close())
    const product = await startProduct({ upstream: gateway.url })
    onTestFinished(async () => void (await product.stop()))
    const program = join(resolve(import.meta.dirname, '../..'), 'src/tokenweir.ts')
    const child = spawn(process.execPath, [program, 'tail', '--ledger', product.ledger, '--json'], { env: cleanEnvironment() })
    onTestFinished(() => void child.kill('SIGKILL'))
    let seen = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => (seen += part))
    const models = () => [...seen.matchAll(/"request_model":"([^"]+)"/g)].map(([, model]) => model)
    const ask = async (model: string) => {
      const body = JSON.stringify({ model, stream: true, messages: [] })
      await (await fetch(`${product.url}/v1/chat/completions`, { method: 'POST', body })).text()
    }
    await ask('gpt-first')
    await expect.poll(models).toEqual(['gpt-first'])
    await ask('gpt-second')
    await expect.poll(models).toEqual(['gpt-first', 'gpt-second'])
    child.kill('SIGINT')
    expect((await once(child, 'close'))[0]).toBe(0)
  })
})
