import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
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

  it('says what to do when no Node will do', () => {
    const copy = `data:text/javascript,${encodeURIComponent(
      readFileSync(launcher, 'utf8')
        .replace(/^#!.*/, '')
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL('/nowhere/bin/tokenweir.js').href)),
    )}`
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', pretendOld, '--import', copy, '-e', '0'], {
      encoding: 'utf8',
    })
    expect({ status, stdout, stderr }).toEqual({
      status: 1,
      stdout: '',
      stderr:
        'tokenweir: This is Node 18.0.0; tokenweir needs 22.18 or later, and the Node that comes with it as a package is not installed ' +
        `(were optional packages left out, or is there none for ${process.platform}-${process.arch}?). Install Node 24, or install tokenweir ` +
        'again with its optional packages.\n',
    })
  })
})
