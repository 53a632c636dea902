/** `tokenweir check [CONFIG]`: reads the configuration, prints what is in effect and where it comes from. */
import type { Command } from 'commander'
import { type CommandContext, exit, painter, refuse } from './context.ts'

export function checkCommand({ program, env, io, flags, end, refuseUse }: CommandContext): void {
  program
    .command('check')
    .description('validate the configuration, print what is in effect and where it comes from')
    .argument('[config]', 'the file to check, as with --config')
    .action(async (config: string | undefined, _options, { args }: Command) => {
      if (args.length > 1) return refuseUse(`${JSON.stringify(args[1])} is one argument too many.`)
      const { loadConfig } = await import('../../config/config.ts')
      const { describeConfig } = await import('../../config/print.ts')
      const loaded = await loadConfig({ flags: config === undefined ? flags() : { ...flags(), config }, env, readFile: io.readFile })
      if ('errors' in loaded) return end(await refuse(loaded.errors, env, io))
      io.stdout.write(describeConfig(loaded.config, loaded.origins, painter(io.stdout, env)))
      end(exit.done)
    })
}
