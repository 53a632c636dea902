/** Runs `tokenweir verify` on a product: its verdicts by check, and every sentence that was said. */
import { expect } from 'vitest'
import { runOn } from '../cli/terminal.ts'
import type { Product } from '../e2e/product.ts'

export interface Verified {
  readonly code: number
  readonly checks: Readonly<Record<string, string>>
  readonly sentences: string
}

const pipe = { columns: undefined, colour: false }
export const run = (args: readonly string[], env: Record<string, string> = {}) => runOn(pipe, ['verify', ...args], env)

export async function verify(
  product: Pick<Product, 'url' | 'adminUrl' | 'ledger'>,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Verified> {
  const places = ['--sidecar', product.url, '--admin', product.adminUrl, '--ledger', product.ledger]
  const { code, stdout, stderr } = await run([...places, '--json', ...args], env)
  expect(stderr).toBe('')
  const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; what: string; mend?: string }[] }
  return {
    code,
    checks: Object.fromEntries(checks.map(({ name, status }) => [name, status])),
    sentences: checks.map(({ what, mend }) => `${what} ${mend ?? ''}`).join('\n'),
  }
}
