import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type Io, runCli } from '../../src/cli/cli.ts'
import type { Config } from '../../src/config/config.ts'
import type { Running } from '../../src/sidecar.ts'
import { cleanEnvironment } from '../e2e/product.ts'

const root = resolve(import.meta.dirname, '../..')
const version = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version
const folder = mkdtempSync(join(tmpdir(), 'tokenweir-cli-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Runs the real process, for commands that end by themselves. */
function run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'src/tokenweir.ts'), ...args], {
    cwd: folder,
    env: { ...cleanEnvironment(), ...env },
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status, stdout, stderr }
}

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return name
}

describe('the process', () => {
  it('prints its help and exits 0', () => {
    const { status, stdout, stderr } = run(['--help'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    for (const word of [
      '--upstream <url>',
      'TOKENWEIR_UPSTREAM',
      '--listen <address>',
      '127.0.0.1:4141',
      'TOKENWEIR_SEMCONV',
      'check [config]',
      'Examples:',
    ]) {
      expect(stdout).toContain(word)
    }
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
  })

  it('prints its version and exits 0', () => {
    expect(run(['--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' })
  })

  it.each([
    [['--upstrem', 'x'], "tokenweir: unknown option '--upstrem'. Did you mean --upstream?\n"],
    [['--colour'], "tokenweir: unknown option '--colour'. See tokenweir --help.\n"],
    [['--listen'], "tokenweir: option '--listen <address>' argument missing. See tokenweir --help.\n"],
    [
      ['--upstream', 'http://a', 'check', '--upstream=http://b'],
      'tokenweir: --upstream is given twice: several upstreams are routes, one per path prefix, in a file that --config names. See tokenweir --help.\n',
    ],
    [['run'], expect.stringContaining('tokenweir: "run" is no command. The commands are: callers, check, ')],
    [['check', 'a', 'b'], 'tokenweir: "b" is one argument too many. See tokenweir --help.\n'],
    [['--listen', '4141:x', '--upstream', 'http://h'], expect.stringContaining('tokenweir: --listen: "4141:x" is not an address.')],
    [['--config', 'absent.yaml'], 'tokenweir: --config: The file "absent.yaml" does not exist.\n'],
    [[], expect.stringContaining('for example: tokenweir --upstream http://127.0.0.1:8000')],
  ])('refuses %j with a sentence and exit code 2', (args, stderr) => {
    expect(run(args)).toEqual({ status: 2, stdout: '', stderr })
  })

  it('checks a file: prints what is in effect and exits 0', () => {
    const { status, stdout, stderr } = run(['check', write('good.yaml', 'upstream: http://gateway:8000\nlisten: :80\n')], {
      TOKENWEIR_CAPTURE: 'observe',
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout.split('\n').slice(0, 4)).toEqual([
      'listen: 0.0.0.0:80       # good.yaml:2:9',
      'admin: 127.0.0.1:4142    # default',
      'ledger: tokenweir.db     # default',
      'capture: observe         # TOKENWEIR_CAPTURE',
    ])
  })

  it('checks a file: says everything that is wrong and exits 2', () => {
    expect(run(['check', write('bad.json', '{\n  "upstream": "gateway",\n  "listn": 80\n}')])).toEqual({
      status: 2,
      stdout: '',
      stderr: `tokenweir: bad.json:2:15: upstream: "gateway" does not begin with http:// or https://. Write http:// or https://, the host, and where needed a port and a base path: https://api.openai.com
tokenweir: bad.json:3:3: listn: There is no such key. Did you mean listen?
`,
    })
  })

  it('survives a reader that goes away', () => {
    const command = `{ "${process.execPath}" "${join(root, 'src/tokenweir.ts')}" --help; echo "code $?" >&2; } | true`
    const { stderr } = spawnSync('bash', ['-c', command], { cwd: folder, env: cleanEnvironment(), encoding: 'utf8' })
    expect(stderr).toBe('code 0\n')
  })
})

/** An `Io` of tests: gathers what is written, and starts nothing but what the test gives. */
function fakeIo(start: Io['start'] = async () => Promise.reject(new Error('not expected')), isTTY = false) {
  const written = { stdout: '', stderr: '' }
  const signals: (() => void)[] = []
  const uncaught: ((error: unknown) => void)[] = []
  const stream = (name: 'stdout' | 'stderr') => ({
    isTTY,
    columns: 80,
    write(text: string) {
      written[name] += text
    },
  })
  const io: Io = {
    stdout: stream('stdout'),
    stderr: stream('stderr'),
    readFile: () => 'upstream: http://gateway\n',
    start,
    onStopSignal: (listener) => signals.push(listener),
    onHangup: () => undefined,
    onUncaught: (listener) => uncaught.push(listener),
  }
  return {
    io,
    written,
    signal: () => signals.forEach((listener) => void listener()),
    fail: (error: unknown) => uncaught.forEach((listener) => void listener(error)),
  }
}

/** A sidecar of tests that runs until it is stopped. */
function fakeRunning(lostRecords = 0) {
  const seen = { config: undefined as Config | undefined, stops: 0 }
  const start = async (config: Config): Promise<Running> => {
    seen.config = config
    return {
      port: 4141,
      adminPort: 4142,
      reload: () => new Promise(() => undefined),
      stop: async () => {
        seen.stops++
        return { lostRecords }
      },
    }
  }
  return { start, seen }
}

const tick = () => new Promise((resolve) => setTimeout(resolve, 50))

describe('starting', () => {
  it('runs with the configuration until a signal, and ends with 0', async () => {
    const { start, seen } = fakeRunning()
    const { io, written, signal } = fakeIo(start)
    const code = runCli(['--upstream', 'http://gateway:8000/base', '--listen', '[::1]:0'], {}, io)
    await expect.poll(() => written.stderr).toContain('ledger')
    expect(seen).toEqual({ config: expect.objectContaining({ listen: { host: '::1', port: 0 } }), stops: 0 })
    expect(written).toEqual({
      stdout: '',
      stderr: `tokenweir ${version} listens on http://[::1]:4141
  / → http://gateway:8000/base (route default)
  metrics and live page: http://127.0.0.1:4142
  ledger: tokenweir.db; usage capture: inject
`,
    })
    signal()
    expect(await code).toBe(0)
    expect(seen.stops).toBe(1)
  })

  it('ends with 1 when records were lost', async () => {
    const { start } = fakeRunning(3)
    const { io, written, signal } = fakeIo(start)
    const code = runCli(['--upstream', 'http://gateway'], {}, io)
    await expect.poll(() => written.stderr).toContain('ledger')
    signal()
    expect(await code).toBe(1)
  })

  it('needs no argument when the environment says everything', async () => {
    const { start, seen } = fakeRunning()
    const { io, written, signal } = fakeIo(start)
    const code = runCli([], { TOKENWEIR_UPSTREAM: 'http://gateway' }, io)
    await expect.poll(() => written.stderr).toContain('ledger')
    signal()
    expect([await code, seen.config?.routes[0]?.upstream.href]).toEqual([0, 'http://gateway/'])
  })

  it('passes a second signal on: stop, at once', async () => {
    const stops: number[] = []
    const finished = Promise.withResolvers<{ readonly lostRecords: number }>()
    const { io, written, signal } = fakeIo(async () => ({
      port: 1,
      adminPort: 2,
      reload: () => new Promise(() => undefined),
      stop: () => {
        stops.push(stops.length)
        if (stops.length === 2) finished.resolve({ lostRecords: 0 })
        return finished.promise
      },
    }))
    const code = runCli(['--upstream', 'http://gateway'], {}, io)
    await expect.poll(() => written.stderr).toContain('ledger')
    signal()
    await tick()
    signal()
    expect([await code, stops]).toEqual([0, [0, 1]])
  })

  it('says what nobody caught, records what is open, and ends with 1', async () => {
    const { start, seen } = fakeRunning()
    const { io, written, fail } = fakeIo(start)
    const code = runCli(['--upstream', 'http://gateway'], {}, io)
    await expect.poll(() => written.stderr).toContain('ledger')
    written.stderr = ''
    fail(new Error('a mistake'))
    expect([await code, seen.stops, written.stderr]).toEqual([
      1,
      2, // at once
      "tokenweir: This is a mistake of tokenweir's own, which ends it: a mistake\n",
    ])
  })

  it('stops right after the start when the signal came during it', async () => {
    const { start, seen } = fakeRunning()
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    let begun = false
    const { io, signal, written } = fakeIo(async (config) => {
      begun = true
      await gate
      return await start(config)
    })
    const code = runCli(['--upstream', 'http://gateway'], {}, io)
    await expect.poll(() => begun).toBe(true)
    signal()
    open()
    expect([await code, seen.stops, written.stderr]).toEqual([0, 1, ''])
  })

  it('gives up a start that hangs at the second signal', async () => {
    let begun = false
    const { io, signal, written } = fakeIo(() => {
      begun = true
      return new Promise(() => undefined)
    })
    const code = runCli(['--upstream', 'http://gateway'], {}, io)
    await expect.poll(() => begun).toBe(true)
    signal()
    signal()
    expect([await code, written.stderr]).toEqual([1, 'tokenweir: Stopped before it was ready.\n'])
  })

  it('that fails ends with 1 and the sentence, without a stack', async () => {
    const { io, written } = fakeIo(() => Promise.reject(new Error('Port 4141 is in use: choose another with --listen.')))
    expect(await runCli(['--upstream', 'http://gateway'], {}, io)).toBe(1)
    expect(written).toEqual({ stdout: '', stderr: 'tokenweir: Port 4141 is in use: choose another with --listen.\n' })
  })

  it('that fails with what was already reported says it once', async () => {
    const { io, written } = fakeIo((_config, report) => {
      report('The ledger cannot be written.')
      return Promise.reject(new Error('The ledger cannot be written.'))
    })
    expect([await runCli(['--upstream', 'http://gateway'], {}, io), written.stderr]).toEqual([
      1,
      'tokenweir: The ledger cannot be written.\n',
    ])
  })

  it('that fails by a mistake of ours shows the stack', async () => {
    const { io, written } = fakeIo(() => Promise.reject(new TypeError('x is not a function')))
    expect(await runCli(['--upstream', 'http://gateway'], {}, io)).toBe(1)
    expect(written.stderr).toMatch(/^tokenweir: TypeError: x is not a function\n {4}at /)
  })

  it('shows what the sidecar reports while it runs', async () => {
    const { start } = fakeRunning()
    const { io, written, signal } = fakeIo((config, report) => {
      report('The collector does not answer.')
      return start(config)
    })
    const code = runCli(['--upstream', 'http://gateway'], {}, io)
    await expect.poll(() => written.stderr).toContain('ledger')
    signal()
    await code
    expect(written.stderr.split('\n')[0]).toBe('tokenweir: The collector does not answer.')
  })
})

describe('colours', () => {
  const paint = '\u001b['
  const outputs = async (isTTY: boolean, env: Readonly<Record<string, string>>) => {
    const { io, written } = fakeIo(undefined, isTTY)
    await runCli(['--help'], env, io)
    await runCli(['check', 'a.yaml'], env, io)
    await runCli(['--nonsense'], env, io)
    return [written.stdout.includes(paint), written.stderr.includes(paint)]
  }

  it('are there on a terminal only', async () => {
    expect([await outputs(true, {}), await outputs(false, {})]).toEqual([
      [true, true],
      [false, false],
    ])
  })

  it('are not there with NO_COLOR or on a dumb terminal', async () => {
    expect([await outputs(true, { NO_COLOR: '1' }), await outputs(true, { TERM: 'dumb' }), await outputs(true, { NO_COLOR: '' })]).toEqual([
      [false, false],
      [false, false],
      [true, true],
    ])
  })
})
