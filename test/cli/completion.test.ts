/** Completion, by the shells themselves. zsh and fish are asked where they are installed. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runOn } from './terminal.ts'

const folder = mkdtempSync(join(tmpdir(), 'tokenweir-completion-'))
afterAll(() => rmSync(folder, { recursive: true }))
writeFileSync(join(folder, 'weir.yaml'), '')

async function scriptFor(shell: string): Promise<string> {
  const { code, stdout, stderr } = await runOn({ columns: undefined, colour: false }, ['completion', shell])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const path = join(folder, `_tokenweir.${shell}`)
  writeFileSync(path, stdout)
  return path
}

function shell(program: string, args: readonly string[]): string {
  const { stdout, stderr, status } = spawnSync(program, args, { cwd: folder, encoding: 'utf8', timeout: 60_000 })
  expect({ program, status, stderr }).toEqual({ program, status: 0, stderr: '' })
  return stdout
}

const isInstalled = (program: string) => spawnSync(program, ['--version']).status === 0

/** What a typed line can become, the last word being completed. */
const cases: readonly (readonly [line: string, expected: readonly string[]])[] = [
  ['tokenweir ver', ['verify']],
  ['tokenweir rep', ['replay', 'report']],
  ['tokenweir --cap', ['--capture']],
  ['tokenweir --capture ', ['inject', 'observe']],
  ['tokenweir verify --api ', ['chat', 'messages', 'responses']],
  ['tokenweir verify --key', ['--key-env']],
  ['tokenweir --ledger x tail --no', ['--no-follow']],
  ['tokenweir tail --led', ['--ledger']],
  ['tokenweir completion ', ['bash', 'fish', 'zsh']],
  ['tokenweir check we', ['weir.yaml']],
  ['tokenweir --config we', ['weir.yaml']],
]

describe('completion', () => {
  it.each(cases)('in bash: %s', async (line, expected) => {
    const words = line.split(' ').map((word) => `'${word}'`)
    const ask = `source '${await scriptFor('bash')}'; COMP_WORDS=(${words.join(' ')}); COMP_CWORD=${words.length - 1}; _tokenweir; printf '%s\\n' "\${COMPREPLY[@]}"`
    expect(shell('bash', ['--norc', '-c', ask]).trim().split('\n').sort()).toEqual(expected)
  })

  it.runIf(isInstalled('fish')).each(cases)('in fish: %s', async (line, expected) => {
    const ask = `source '${await scriptFor('fish')}'; complete -C '${line}'`
    const found = shell('fish', ['--no-config', '-c', ask]).trim().split('\n')
    expect(found.map((one) => one.split('\t')[0]).sort()).toEqual(expected)
  })

  it.runIf(isInstalled('zsh'))('is a function that zsh takes', async () => {
    const path = await scriptFor('zsh')
    shell('zsh', ['-f', '-n', path])
    expect(shell('zsh', ['-f', '-c', `autoload -U compinit; compinit -D; source '${path}'; print $_comps[tokenweir]`])).toBe('_tokenweir\n')
  })

  it('names the shells that it knows', async () => {
    const { code, stderr } = await runOn({ columns: 80, colour: false }, ['completion', 'csh'])
    expect([code, stderr]).toEqual([2, 'tokenweir: "csh" is none of bash, zsh, fish. See tokenweir --help.\n'])
  })
})
