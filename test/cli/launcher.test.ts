import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { cleanEnvironment, startProduct } from '../e2e/product.ts'

const root = resolve(import.meta.dirname, '../..')
const launcher = join(root, 'bin/tokenweir.js')
const version = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version

/** Code that makes this Node call itself 18.0.0, before the launcher looks. */
const pretendOld = `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'18.0.0'}})`

function launch(args: readonly string[], nodeArgs: readonly string[] = []) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...nodeArgs, launcher, ...args], {
    env: cleanEnvironment(),
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status, stdout, stderr }
}

describe('the launcher', () => {
  it('runs the program in its own process on a Node that can', () => {
    expect(launch(['--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' })
  })

  it('runs the program on the Node that came along when its own is too old', () => {
    expect(launch(['--version'], ['--import', pretendOld])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' })
  })

  it.each([[[]], [['--import', pretendOld]]])('passes the exit code on: %j', (nodeArgs) => {
    const { status, stderr } = launch(['--nonsense'], nodeArgs)
    expect({ status, stderr }).toEqual({ status: 2, stderr: "tokenweir: unknown option '--nonsense'. See tokenweir --help.\n" })
  })

  it.each([[[]], [['--import', pretendOld]]])('passes SIGTERM on and ends with the program: %j', async (nodeArgs) => {
    const product = await startProduct({ upstream: 'http://127.0.0.1:9', program: [...nodeArgs, launcher] })
    expect((await fetch(`${product.adminUrl}/livez`)).status).toBe(200)
    expect([await product.stop('SIGTERM'), product.stderr()]).toEqual([
      0,
      expect.stringMatching(/^tokenweir \S+ listens on .*\n(.*\n){3}$/),
    ])
    await expect(fetch(`${product.adminUrl}/livez`)).rejects.toThrow('fetch failed')
  })

  it('says in one sentence what to do when no Node will do', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tokenweir-launcher-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    for (const part of ['bin', 'examples', 'src/tokenweir.ts', 'package.json'])
      cpSync(join(root, part), join(folder, part), { recursive: true })
    for (const program of ['bin/tokenweir.js', 'examples/sample-gateway/main.js', 'examples/traffic/main.js']) {
      const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', pretendOld, join(folder, program)], { encoding: 'utf8' })
      expect({ status, stdout, stderr }).toEqual({
        status: 1,
        stdout: '',
        stderr:
          'tokenweir: This is Node 18.0.0, and tokenweir needs 22.19 or later: install Node 24 (in a checkout npm install brings one, unless ' +
          'optional packages are left out).\n',
      })
    }
  })

  it.each([[[]], [['--import', pretendOld]]])('runs the examples: %j', (nodeArgs) => {
    for (const name of ['sample-gateway', 'traffic']) {
      const program = join(root, `examples/${name}/main.js`)
      const { status, stdout } = spawnSync(process.execPath, [...nodeArgs, program, '--help'], {
        encoding: 'utf8',
        env: cleanEnvironment(),
      })
      expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringMatching(`^Usage: node examples/${name}/main.js `) })
    }
  })
})
