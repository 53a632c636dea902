/** The tables of what each proxy does: `TOKENWEIR_CONFORMANCE_REPORT=1 npm run test:conformance` writes them. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Outcome } from './play.ts'
import { type Name, peerNames } from './proxies.ts'

export async function writeReport(
  what: 'requests' | 'answers',
  rows: readonly { readonly name: string }[],
  outcomeOf: (name: Name, index: number) => Promise<Outcome> | undefined,
  shown: (outcome: Outcome) => string,
): Promise<void> {
  if (process.env['TOKENWEIR_CONFORMANCE_REPORT'] === undefined) return
  const names: readonly Name[] = ['tokenweir', ...peerNames]
  const lines: string[] = []
  for (const [index, { name }] of rows.entries()) {
    const cells = await Promise.all(
      names.map(async (one) => {
        const outcome = await outcomeOf(one, index)?.catch(() => undefined)
        if (outcome === undefined) return 'not run'
        const marks = (['ambiguous', 'poisoned'] as const).filter((mark) => outcome[mark] !== undefined).map((mark) => ` **${mark}**`)
        return `${shown(outcome)}${marks.join('')}`
      }),
    )
    lines.push(`| ${[name, ...cells].map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
  }
  const head = [`| ${what} | ${names.join(' | ')} |`, `| --- | ${names.map(() => '---').join(' | ')} |`]
  writeFileSync(join(import.meta.dirname, `${what}.md`), `${[...head, ...lines].join('\n')}\n`)
}
