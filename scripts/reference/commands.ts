/** The commands, from the program's own help. */
import { runCli } from '../../src/cli/cli.ts'
import { generated } from './table.ts'

const columns = 100

async function helpOf(args: readonly string[]): Promise<string> {
  let text = ''
  const stdout = { write: (part: string) => (text += part), isTTY: true, columns }
  const unused = () => {
    throw new Error('Help needs nothing.')
  }
  await runCli(
    [...args, '--help'],
    { NO_COLOR: '1' },
    { stdout, stderr: stdout, readFile: unused, start: unused, onStopSignal: unused, onHangup: unused, onUncaught: unused },
  )
  return text.trimEnd()
}

const fenced = (text: string) => `\`\`\`text\n${text}\n\`\`\`\n`

export async function commandsPage(): Promise<string> {
  const main = await helpOf([])
  const list = /^Commands:\n([\s\S]*?)\n\n/m.exec(main)?.[1] ?? ''
  const names = [...list.matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name as string)
  const pages = await Promise.all(names.map(async (name) => `## tokenweir ${name}\n\n${fenced(await helpOf([name]))}`))
  return `${generated('tokenweir --help')}

# Commands

There are three ways to run every command: \`npx tokenweir …\`, \`tokenweir …\` after a global install, and \`npm start -- …\` in a checkout.

## tokenweir

${fenced(main)}
${pages.join('\n')}`
}
