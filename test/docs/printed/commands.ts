/** The commands that documents print: those of `sh`, `bash` and `console` blocks, and the examples of `--help` in docs/commands.md. */
import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const root = resolve(import.meta.dirname, '../../..')

/** Documents that a reader follows; the records of decisions and the changelog tell what was. */
export const documents = globSync(['*.md', '{docs,deploy,examples,bench}/**/*.md', 'test/*/README.md', 'site/*.md'], {
  cwd: root,
  exclude: ['**/node_modules/**', 'docs/decisions/**', 'CHANGELOG.md'],
})
  .map(String)
  .sort()

export interface Printed {
  readonly document: string
  /** The number of its first line in the document. */
  readonly line: number
  /** As it is printed, with its comment, without the `$ ` of a console. */
  readonly text: string
}

const shells = /^(sh|bash|shell|console)$/
const help = 'text'

/** A shell still waits for more: a quote, a backslash or a here-document is open. */
function isIncomplete(text: string): boolean {
  if (/\\$/.test(text)) return true
  const { status, stderr } = spawnSync('bash', ['-n'], { input: text, encoding: 'utf8' })
  if (status !== 0 && !/unexpected (EOF|end of file)/.test(stderr)) throw new Error(`This is no shell command:\n${text}\n${stderr}`)
  return status !== 0 || stderr !== ''
}

export function commandsOf(document: string, text: string): readonly Printed[] {
  const commands: Printed[] = []
  let fence: { readonly mark: string; readonly kind: string } | undefined
  let open: { line: number; text: string } | undefined
  for (const [index, line] of text.split('\n').entries()) {
    const [, mark, kind = ''] = /^\s*(```+|~~~+)\s*(\S*)/.exec(line) ?? []
    if (mark !== undefined) {
      if (open !== undefined) throw new Error(`${document}:${open.line}: a command that does not end:\n${open.text}`)
      fence = fence === undefined ? { mark, kind } : undefined
    } else if (fence !== undefined) {
      const code = open === undefined ? startOf(fence.kind, line) : `${open.text}\n${line}`
      if (code === undefined) continue
      const at = open?.line ?? index + 1
      open = isIncomplete(code) ? { line: at, text: code } : undefined
      if (open === undefined) commands.push({ document, line: at, text: code })
    }
  }
  return commands
}

/** Of `--help`, only the examples are commands: they are indented and name the program, or what makes its input. */
function startOf(kind: string, line: string): string | undefined {
  if (kind === 'console') return /^\s*\$ (.+)/.exec(line)?.[1]
  if (kind === help) return /^ {2,}((?:tokenweir(?!_| {2})|curl|cat|kill) ?.*)$/.exec(line)?.[1]
  return shells.test(kind) && !/^\s*(#|$)/.test(line) ? line.trim() : undefined
}

export const allCommands = () => documents.flatMap((document) => commandsOf(document, readFileSync(join(root, document), 'utf8')))

/** The simple commands of a line, as words: `A=1 npm start -- --upstream x && y` is [npm, start, …] and [y]. Quoted text is one word. */
export function simpleCommands(text: string): readonly (readonly string[])[] {
  const words =
    text.replaceAll('\\\n', ' ').match(/(?:'[^']*'|"(?:\\.|[^"])*"|\$\([^)]*\)|[^\s;&|'"#]|(?<=\S)#)+|&&|\|\||[;&|\n]|#[^\n]*/g) ?? []
  const commands: string[][] = [[]]
  for (const word of words) {
    if (/^([;&|\n]|&&|\|\|)$/.test(word)) commands.push([])
    else if (!word.startsWith('#')) commands.at(-1)?.push(word)
  }
  const isBefore = (word: string) => /^\w+=/.test(word) || word === 'sudo'
  return commands
    .map((one) => one.slice(one.findIndex((word) => !isBefore(word))))
    .filter((one) => one.length > 0 && !isBefore(one[0] as string))
}
