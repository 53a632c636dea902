/** `tokenweir completion SHELL`: what the shell needs to complete commands, options and their values; made from the program itself. */
import type { Command, Option } from 'commander'
import type { Shell, Words } from './completion-scripts.ts'
import { type CommandContext, exit } from './context.ts'

const shells: readonly Shell[] = ['bash', 'zsh', 'fish']

const help = `
Put it where the shell looks, or into its start-up file:
  bash  source <(tokenweir completion bash)
  zsh   tokenweir completion zsh > "\${fpath[1]}/_tokenweir"
  fish  tokenweir completion fish > ~/.config/fish/completions/tokenweir.fish`

export function completionCommand({ program, io, end, refuseUse }: CommandContext): void {
  program
    .command('completion')
    .description('print what a shell needs to complete commands and options')
    .argument('<bash|zsh|fish>', 'the shell')
    .addHelpText('after', help)
    .action(async (name: string, _options, { args }: Command) => {
      const shell = shells.find((one) => one === name)
      if (args.length > 1) return refuseUse(`${JSON.stringify(args[1])} is one argument too many.`)
      if (shell === undefined) return refuseUse(`${JSON.stringify(name)} is none of ${shells.join(', ')}.`)
      const { scripts } = await import('./completion-scripts.ts')
      io.stdout.write(scripts[shell](wordsOf(program)))
      end(exit.done)
    })
}

/** Everything that can be completed. The program's own options hold with every command, too. */
function wordsOf(program: Command): Words {
  const optionsOf = (command: Command) => [...command.options.map(optionWord), { names: ['-h', '--help'], description: 'print help' }]
  return {
    options: optionsOf(program),
    commands: program.commands.map((command) => ({
      name: command.name(),
      description: command.description(),
      options: [...optionsOf(command), ...program.options.filter(({ long }) => long !== '--version').map(optionWord)],
      argument: command.registeredArguments.map((argument) => takenBy(argument.name()))[0],
    })),
  }
}

function optionWord({ short, long, description, flags }: Option): Words['options'][number] {
  const placeholder = /<([^>]+)>/.exec(flags)?.[1]
  return {
    names: [short, long].filter((name) => name !== undefined && name !== null),
    description,
    value: placeholder === undefined ? undefined : takenBy(placeholder),
  }
}

/** `inject|observe` is one of these, `file` and `config` a path, everything else a text that nobody can guess. */
function takenBy(placeholder: string) {
  if (placeholder.includes('|')) return placeholder.split('|')
  return placeholder === 'file' || placeholder === 'config' ? 'file' : 'text'
}
