/** The scripts themselves. Pure: words in, text out. */

export type Shell = 'bash' | 'zsh' | 'fish'

/** One of a list, a path, or any text. */
type Value = readonly string[] | 'file' | 'text'

interface OptionWord {
  readonly names: readonly string[]
  readonly description: string
  /** Undefined for a switch. */
  readonly value?: Value | undefined
}

export interface Words {
  readonly options: readonly OptionWord[]
  readonly commands: readonly {
    readonly name: string
    readonly description: string
    readonly options: readonly OptionWord[]
    readonly argument: Value | undefined
  }[]
}

export const scripts: Readonly<Record<Shell, (words: Words) => string>> = { bash, zsh, fish }

const namesOf = (options: readonly OptionWord[]) => [...new Set(options.flatMap(({ names }) => names))]

function bash({ options, commands }: Words): string {
  const complete = (value: Value) => {
    if (value === 'text') return 'return'
    return value === 'file'
      ? 'COMPREPLY=($(compgen -f -- "$cur")); return'
      : `COMPREPLY=($(compgen -W '${value.join(' ')}' -- "$cur")); return`
  }
  const valuesOf = (command: string, of: readonly OptionWord[]) =>
    of.flatMap(({ names, value }) =>
      value === undefined ? [] : [`    ${names.map((name) => `'${command} ${name}'`).join('|')}) ${complete(value)} ;;`],
    )
  const cases = commands.map(({ name, options: own, argument }) => {
    const argued = argument === undefined ? '' : `[[ $cur != -* ]] && { ${complete(argument)}; }; `
    return `    ${name}) ${argued}words='${namesOf(own).join(' ')}' ;;`
  })
  return `# bash completion of tokenweir
_tokenweir() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command= words= i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      ${commands.map(({ name }) => name).join('|')}) command=\${COMP_WORDS[i]}; break ;;
    esac
  done
  case "$command $prev" in
${[...valuesOf('', options), ...commands.flatMap(({ name, options: own }) => valuesOf(name, own))].join('\n')}
  esac
  case $command in
    '') words='${[...commands.map(({ name }) => name), ...namesOf(options)].join(' ')}' ;;
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _tokenweir tokenweir
`
}

function zsh({ options, commands }: Words): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
  const plain = (text: string) => text.replace(/[[\]:\\]/g, ' ')
  const value = (of: Value) => (of === 'text' ? ':text: ' : of === 'file' ? ':file:_files' : `:value:(${of.join(' ')})`)
  const specs = (of: readonly OptionWord[]) =>
    of.flatMap(({ names, description, value: takes }) =>
      names.map((name) => quoted(`${name}[${plain(description)}]${takes === undefined ? '' : value(takes)}`)),
    )
  const argumentOf = (of: Value | undefined) => (of === undefined ? [] : [quoted(`1${value(of)}`)])
  const cases = commands.map(
    ({ name, options: own, argument }) =>
      `        ${name})\n          _arguments ${[...specs(own), ...argumentOf(argument)].join(' \\\n            ')} ;;`,
  )
  return `#compdef tokenweir
_tokenweir() {
  local state line
  typeset -A opt_args
  _arguments -C ${[...specs(options), "'1:command:->command'", "'*::argument:->argument'"].join(' \\\n    ')}
  case $state in
    command)
      local -a commands
      commands=(${commands.map(({ name, description }) => quoted(`${name}:${plain(description)}`)).join(' \\\n        ')})
      _describe command commands ;;
    argument)
      case $line[1] in
${cases.join('\n')}
      esac ;;
  esac
}
if [ "$funcstack[1]" = "_tokenweir" ]; then _tokenweir "$@"; else compdef _tokenweir tokenweir; fi
`
}

function fish({ options, commands }: Words): string {
  const quoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  const flags = ({ names, description, value }: OptionWord) => {
    const spelt = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)).join(' ')
    const takes = value === undefined ? '' : value === 'text' ? ' -x' : value === 'file' ? ' -r -F' : ` -x -a ${quoted(value.join(' '))}`
    return `${spelt}${takes} -d ${quoted(description)}`
  }
  const lines = commands.flatMap(({ name, description, options: own, argument }) => {
    const when = quoted(`__fish_seen_subcommand_from ${name}`)
    const values = argument === undefined || argument === 'text' ? [] : argument === 'file' ? ['-F'] : [`-a ${quoted(argument.join(' '))}`]
    return [
      `complete -c tokenweir -n __fish_use_subcommand -a ${name} -d ${quoted(description)}`,
      ...own.map((option) => `complete -c tokenweir -n ${when} ${flags(option)}`),
      ...values.map((value) => `complete -c tokenweir -n ${when} ${value}`),
    ]
  })
  return `# fish completion of tokenweir
complete -c tokenweir -f
${options.map((option) => `complete -c tokenweir -n __fish_use_subcommand ${flags(option)}`).join('\n')}
${lines.join('\n')}
`
}
