/** The commands that the READMEs of examples/ print, as they are printed, with the real gateways. */
import { describe, expect, it } from 'vitest'
import { follow } from '../docs/printed/follow.ts'
import { fastapi, isInstalled, litellm, litellmStaysAtHome } from './places.ts'

describe.skipIf(!isInstalled.fastapi())('examples/fastapi-gateway', () => {
  it('can be followed from top to bottom, and its table has the stream without tokens', { timeout: 600_000 }, async () => {
    const { failures, outputs } = await follow('examples/fastapi-gateway/README.md', { words: { VENV: fastapi.folder } })
    expect(failures).toBe('')
    const [, table] = [...outputs].find(([text]) => text.startsWith('sqlite3 gateway.db')) ?? []
    expect(table).toMatch(/\|gpt-4o\|1\|started\|0\|0\n$/)
  })
})

describe.skipIf(!isInstalled.litellm())('examples/litellm', () => {
  it('can be followed from top to bottom', { timeout: 600_000 }, async () => {
    const options = { words: { VENV: litellm.folder }, env: litellmStaysAtHome }
    expect((await follow('examples/litellm/README.md', options)).failures).toBe('')
  })
})

describe.skipIf(!isInstalled.portkey())('examples/portkey', () => {
  it('can be followed from top to bottom', { timeout: 600_000 }, async () => {
    expect((await follow('examples/portkey/README.md')).failures).toBe('')
  })
})
