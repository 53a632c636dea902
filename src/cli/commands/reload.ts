/** `tokenweir reload`: has the running sidecar read its settings again, as SIGHUP does, and prints what came of it. */
import type { Command } from 'commander'
import type { ReloadAnswer } from '../../config/reload.ts'
import { type CommandContext, complain, exit, refuse } from './context.ts'

/** Longer than a sidecar waits for its recorder. */
const patienceMs = 30_000

const help = `
The sidecar reads the same file, flags and variables as at its start. Open requests continue as they began. If there is a
mistake, nothing changes; tokenweir check FILE finds it beforehand.

The command needs the setting admin (--config, or --admin, which may be a URL here), and TOKENWEIR_ADMIN_TOKEN if the
sidecar has a token. kill -HUP does the same.`

export function reloadCommand({ program, env, io, flags, end, refuseUse }: CommandContext): void {
  program
    .command('reload')
    .description('make the running sidecar read its settings again')
    .addHelpText('after', help)
    .action(async (_options, { args }: Command) => {
      if (args.length > 0) return refuseUse(`${JSON.stringify(args[0])} is one argument too many.`)
      const { loadConfig } = await import('../../config/config.ts')
      const { describeReload } = await import('../../config/reload.ts')
      const { adminFlag, adminUrl } = await import('../admin-url.ts')
      const admin = adminFlag(flags())
      const loaded = await loadConfig({ flags: admin.flags, env, readFile: io.readFile, upstreamNeeded: false })
      if ('errors' in loaded) return end(await refuse(loaded.errors, env, io))
      const answer = await ask(admin.url ?? adminUrl(loaded.config), loaded.config.adminToken)
      if (typeof answer === 'string') complain(io, env, answer)
      else if (answer.result === 'refused') for (const sentence of describeReload(answer)) complain(io, env, sentence)
      else for (const sentence of describeReload(answer)) io.stdout.write(`${sentence}\n`)
      end(typeof answer === 'string' || answer.result === 'refused' ? exit.failed : exit.done)
    })
}

/** A sentence where there is no answer. */
async function ask(admin: URL, token: string | undefined): Promise<ReloadAnswer | string> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  let response: Response
  try {
    const signal = AbortSignal.timeout(patienceMs)
    response = await fetch(new URL('/api/reload', admin), { method: 'POST', headers, signal, redirect: 'manual' })
  } catch (error) {
    const { untrusted, trustMend } = await import('../admin-url.ts')
    const { cause, message } = error as Error
    const { code } = (cause ?? {}) as NodeJS.ErrnoException
    if (untrusted(error as Error) !== undefined) return `The certificate at ${admin.origin} is not trusted (${code}). ${trustMend}`
    return `No sidecar answers at ${admin.origin} (${code ?? message}). Name its admin port with --admin, or its file with --config.`
  }
  const answer = (await response.json().catch(() => ({}))) as Partial<ReloadAnswer> & { readonly error?: string }
  if (answer.result !== undefined) return answer as ReloadAnswer
  return answer.error === undefined
    ? `What answers at ${admin.origin} is no sidecar of this version. Name its admin port with --admin.`
    : `The sidecar at ${admin.origin} refused: ${answer.error}`
}
