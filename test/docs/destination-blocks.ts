/** The blocks of `docs/destinations.md`, for the tests that start programs with them. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseEnv } from 'node:util'

export const destinationsPage = readFileSync(resolve(import.meta.dirname, '../../docs/destinations.md'), 'utf8')

export interface Block {
  /** The heading above it. */
  readonly name: string
  readonly text: string
}

export const blocksIn = (language: 'dotenv' | 'yaml'): readonly Block[] =>
  destinationsPage.split(/^##+ /m).flatMap((section) => {
    const name = section.split('\n')[0] as string
    return [...section.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(([, text]) => ({
      name,
      text: text as string,
    }))
  })

export function blockOf(name: string, language: 'dotenv' | 'yaml'): string {
  const found = blocksIn(language).find((block) => block.name === name)
  if (found === undefined) throw new Error(`docs/destinations.md has no ${language} block under "${name}"`)
  return found.text
}

/** The variables of a block, with `origin` in the place of the destination's scheme, host and port. */
export function variablesFor(text: string, origin: string): Readonly<Record<string, string>> {
  const entries = Object.entries(parseEnv(text) as Record<string, string>)
  return Object.fromEntries(entries.map(([name, value]) => [name, value.replace(/^https?:\/\/[^/]+/, origin)]))
}
