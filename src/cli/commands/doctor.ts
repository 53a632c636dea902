/** `tokenweir doctor`: looks at everything around a sidecar, and prints a report without secrets. */
import type { Command } from 'commander'
import { packageVersion } from '../../lib/program.ts'
import { isFailed } from '../checks.ts'
import { type CommandContext, exit, painter } from './context.ts'
import { checksText } from './show-checks.ts'

const help = `
Give it the options, variables and --config of the sidecar. It checks the configuration, ports, ledger (owner of the
file, version, quick check), disk, clock, each upstream (connection, TLS, HTTP; it sends no credentials and asks no
model) and each collector (it sends an empty export). The sidecar may run or not.

The report contains no secrets, so you can paste it into an issue. The exit code is 1 if a check failed.

Examples:
  tokenweir doctor --config tokenweir.yaml
  tokenweir doctor --upstream http://127.0.0.1:8000 --json`

const patienceUsual = '10'
const secondsMax = 600

export function doctorCommand({ program, env, io, flags, end, refuseUse }: CommandContext): void {
  program
    .command('doctor')
    .description('check ports, ledger, disk, clock, upstreams and collectors; print a report without secrets')
    .option('--timeout <seconds>', 'how long to wait for one answer', patienceUsual)
    .option('--json', 'print one JSON document')
    .addHelpText('after', help)
    .action(async ({ json, timeout }: { readonly json?: boolean; readonly timeout: string }, { args }: Command) => {
      if (args.length > 0) return refuseUse(`${JSON.stringify(args[0])} is one argument too many.`)
      const seconds = Number(timeout)
      if (!(seconds > 0 && seconds <= secondsMax)) return refuseUse('--timeout is a number of seconds, such as 10.')
      const { loadConfig } = await import('../../config/config.ts')
      const { examine } = await import('../doctor/doctor.ts')
      const loaded = await loadConfig({ flags: flags(), env, readFile: io.readFile, upstreamNeeded: false })
      const { about, checks } = await examine({ loaded, env, version: packageVersion(), patienceMs: seconds * 1000 })
      const isWell = !isFailed(checks)
      if (json === true) io.stdout.write(`${JSON.stringify({ ok: isWell, about, checks }, undefined, 2)}\n`)
      else {
        const paint = painter(io.stdout, env)
        const failures = checks.filter(({ status }) => status === 'failed').length
        const head = Object.entries(about).map(([name, value]) => `${name} ${value}`)
        const verdict = isWell
          ? paint.green('Nothing is wrong that could be seen from here.')
          : paint.red(`${failures} of ${checks.length} checks failed.`)
        io.stdout.write(`${head.join('\n')}\n\n${checksText(checks, io, env)}\n\n${verdict}\n`)
      }
      end(isWell ? exit.done : exit.failed)
    })
}
