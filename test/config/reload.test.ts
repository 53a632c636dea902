import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'
import { createReload, describeReload, type ReloadAnswer } from '../../src/config/reload.ts'
import { settings } from '../../src/config/schema.ts'
import { Cell, cellCount } from '../../src/lib/shared-counters.ts'

async function configOf(file: string) {
  const loaded = await loadConfig({ flags: { config: 'tokenweir.yaml' }, env: {}, readFile: () => file })
  if ('errors' in loaded) throw new Error(JSON.stringify(loaded.errors))
  return loaded.config
}

/** Settings in a file that tests change; `applied` has those that were put into effect. */
async function scene(first: string) {
  const config = await configOf(first)
  const world = { file: first, reads: 0, stale: [] as string[], files: [] as string[], failure: undefined as Error | undefined, now: 0 }
  const applied: (typeof config)[] = []
  const said: string[] = []
  const cells = new Int32Array(cellCount)
  const gate = { opens: Promise.resolve() as Promise<void> }
  const reloading = createReload({
    ...{ config, bound: () => ({ listen: config.listen, admin: config.admin }), cells, report: (line: string) => void said.push(line) },
    async load() {
      world.reads++
      const file = world.file
      await gate.opens
      return loadConfig({ flags: { config: 'tokenweir.yaml' }, env: {}, readFile: () => file })
    },
    stale: () => world.stale,
    async apply(next) {
      if (world.failure !== undefined) throw world.failure
      applied.push(next)
      return world.files
    },
    now: () => world.now,
  })
  return { world, applied, said, cells, gate, ...reloading }
}

const upstream = 'upstream: http://gateway:8000\n'

describe('a reload', () => {
  it('keeps what needs a restart as it was, part by part, and names it each time until then', async () => {
    const { world, applied, reload } = await scene(upstream)
    world.file = `${upstream}listen: :5000\nledger: other.db\nlimits: {headerBytes: 1MiB, bodyBytes: 1MiB}\ntimeouts: {graceMs: 5s}\n`
    const needsRestart = ['listen', 'ledger', 'limits.headerBytes']
    expect(await reload()).toEqual({
      ...{ result: 'applied', changed: ['timeouts.graceMs', 'limits.bodyBytes'], needsRestart, problems: [] },
    })
    expect(applied[0]).toMatchObject({
      ...{ listen: { host: '127.0.0.1', port: 4141 }, ledger: 'tokenweir.db' },
      ...{ limits: { headerBytes: 65_536, bodyBytes: 1_048_576 }, timeouts: { graceMs: 5000 } },
    })
    expect(await reload()).toEqual({ result: 'unchanged', changed: [], needsRestart, problems: [] })
    world.file = upstream
    world.stale = ['OTEL_CONFIG_FILE']
    expect(await reload()).toMatchObject({ changed: ['timeouts.graceMs', 'limits.bodyBytes'], needsRestart: ['OTEL_CONFIG_FILE'] })
  })

  it('with files that were read again is none without a change', async () => {
    const { world, reload, said } = await scene(upstream)
    world.files = ['names.yaml']
    expect(await reload()).toMatchObject({ result: 'applied', changed: ['names.yaml'] })
    expect(said).toEqual(['The settings were read again; in effect now: names.yaml.'])
  })

  it('that cannot be put into effect is refused with the reason, and leaves the state of before beside it', async () => {
    const { world, reload, state: told, said, cells } = await scene(upstream)
    world.now = 60_000
    expect(await reload()).toMatchObject({ result: 'unchanged' })
    world.failure = new Error('The salt cannot be kept.')
    world.file = 'upstream: http://other'
    world.now = 120_000
    expect(await reload()).toEqual({ result: 'refused', changed: [], needsRestart: [], problems: ['The salt cannot be kept.'] })
    expect(told()).toEqual({ ok: false, problems: ['The salt cannot be kept.'], needsRestart: [], readAt: '1970-01-01T00:01:00.000Z' })
    expect(said.slice(-2)).toEqual(['The salt cannot be kept.', 'The settings were not changed: those of before stay in effect.'])
    expect([Cell.reloadsUnchanged, Cell.reloadsRefused, Cell.reloadsApplied, Cell.configReadAt].map((cell) => cells[cell])).toEqual([
      1, 1, 0, 60,
    ])
    expect(cells[Cell.configRefused]).toBe(1)
    world.failure = undefined
    expect(await reload()).toMatchObject({ result: 'applied', changed: ['routes'] })
    expect(told()).toMatchObject({ ok: true, problems: [] })
    expect(cells[Cell.configRefused]).toBe(0)
  })

  it('refuses a route to the address that stays in effect, though the file moves it', async () => {
    const { world, reload } = await scene(upstream)
    world.file = 'upstream: http://127.0.0.1:4141\nlisten: 127.0.0.1:5000\n'
    expect(await reload()).toMatchObject({
      ...{ result: 'refused' },
      problems: [expect.stringMatching(/^routes\[0\]\.upstream: 127\.0\.0\.1:4141 is the sidecar's own listen address/)],
    })
  })

  it('is one at a time: many who ask meanwhile share the next one, which reads what the file says then', async () => {
    const { world, reload, gate } = await scene(upstream)
    const opened = Promise.withResolvers<void>()
    gate.opens = opened.promise
    const first = reload()
    await expect.poll(() => world.reads).toBe(1)
    const others = Array.from({ length: 50 }, reload)
    world.file = 'upstream: http://other'
    opened.resolve()
    const answers: ReloadAnswer[] = await Promise.all([first, ...others])
    expect([world.reads, answers[0]?.result, new Set(others).size, answers[1]?.result]).toEqual([2, 'unchanged', 1, 'applied'])
  })

  it('knows of every setting whether it takes effect', async () => {
    const values: Readonly<Record<string, string>> = {
      ...{ upstream: 'http://other', listen: ':1', admin: ':2', ledger: 'o.db', capture: 'observe', disconnect: 'drain', semconv: 'genai' },
      ...{
        trace: 'link',
        caller: 'none',
        requestIdHeader: 'false',
        logFormat: 'json',
        listeners: '[{address: ":5"}]',
        callerNames: '{a: b}',
        callerNamesFile: 'n.yaml',
        labels: 'session',
        pricesFile: 'p.json',
      },
      ...{ adminToken: 'a-token-of-sixteen-characters', traceUrl: 'http://t/{traceId}' },
    }
    const top = settings.map(({ key }) => key).filter((key) => !/[.[]/.test(key) && key !== 'config')
    expect(top.filter((key) => values[key] === undefined)).toEqual([])
    const restart: string[] = []
    for (const key of [...top, 'listeners']) {
      const text = `${key === 'upstream' ? '' : upstream}${key}: ${values[key]}\n`
      const files: Readonly<Record<string, string>> = { 'n.yaml': '{}', 'p.json': '{"date": "2026-11-28", "rows": []}' }
      const loaded = await loadConfig({ flags: { config: 'tokenweir.yaml' }, env: {}, readFile: (name) => files[name] ?? text })
      if ('errors' in loaded) throw new Error(JSON.stringify(loaded.errors))
      const { result, needsRestart } = await reloadedTo(loaded.config)
      expect([key, result]).not.toEqual([key, 'refused'])
      restart.push(...needsRestart)
    }
    expect(restart).toEqual(['listen', 'admin', 'ledger', 'semconv', 'listeners'])
  })
})

/** From the defaults to that configuration. */
async function reloadedTo(config: Awaited<ReturnType<typeof configOf>>): Promise<ReloadAnswer> {
  const before = await configOf(upstream)
  const nothing = { report: () => undefined, cells: new Int32Array(cellCount), now: () => 0, stale: () => [], apply: async () => [] }
  return createReload({ ...nothing, config: before, bound: () => before, load: async () => ({ config, origins: new Map() }) }).reload()
}

it('what came of a reload is one sentence', () => {
  const answer = { changed: ['routes', 'labels'], needsRestart: ['listen'], problems: [] } as const
  expect(describeReload({ ...answer, result: 'applied' })).toEqual([
    'The settings were read again; in effect now: routes, labels. Needs a restart: listen.',
  ])
  expect(describeReload({ ...answer, result: 'unchanged', changed: [], needsRestart: [] })).toEqual([
    'The settings were read again; nothing has changed.',
  ])
})
