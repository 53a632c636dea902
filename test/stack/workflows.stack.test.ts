/** The workflows by actionlint. */
import { spawnSync } from 'node:child_process'
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { deployPrograms, missingDeployTools } from '../../scripts/deploy-tools.ts'

const root = resolve(import.meta.dirname, '../..')
const workflows = globSync('.github/workflows/*.yml', { cwd: root })

describe.skipIf(missingDeployTools(['go']).length > 0)('the workflows', () => {
  const lint = (files: readonly string[], cwd = root) => {
    const { status, stdout } = spawnSync(deployPrograms.actionlint, ['-no-color', '-shellcheck=', '-pyflakes=', ...files], {
      cwd,
      encoding: 'utf8',
    })
    return { status, stdout }
  }

  it('pass actionlint', () => {
    expect(workflows.length).toBe(2)
    expect(lint(workflows)).toEqual({ status: 0, stdout: '' })
  })

  it('would be refused with a job that nobody knows', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tokenweir-workflows-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    mkdirSync(join(folder, '.github/workflows'), { recursive: true })
    const text = readFileSync(join(root, '.github/workflows/release.yml'), 'utf8')
    writeFileSync(join(folder, '.github/workflows/release.yml'), text.replace('needs: check', 'needs: checks'))
    expect(lint(['.github/workflows/release.yml'], folder)).toEqual({ status: 1, stdout: expect.stringContaining('checks') })
  })

  it('name each action by its commit', () => {
    const used = workflows.flatMap((path) =>
      [...readFileSync(join(root, path), 'utf8').matchAll(/uses: (.*)/g)].map(([, name = '']) => name),
    )
    expect(used.length).toBeGreaterThan(8)
    expect(used.filter((name) => !/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(name))).toEqual([])
  })
})
