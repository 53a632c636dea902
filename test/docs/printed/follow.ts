import { allCommands, type Printed, simpleCommands } from './commands.ts'
import { elsewhereOf } from './elsewhere.ts'
import { type SessionOptions, startSession } from './session.ts'

export const commandsIn = (document: string): readonly Printed[] => allCommands().filter((one) => one.document === document)
export const isRunHere = ({ text }: Printed) => simpleCommands(text).every((words) => elsewhereOf(words) === undefined)

export interface Followed {
  /** What did not end with 0, and why; empty when all did. */
  readonly failures: string
  /** What each command said, by its text. */
  readonly outputs: ReadonlyMap<string, string>
}

/** Runs the commands of a document from top to bottom. */
export async function follow(document: string, options: SessionOptions = {}): Promise<Followed> {
  const session = await startSession(options)
  const failures: string[] = []
  const outputs = new Map<string, string>()
  try {
    for (const command of commandsIn(document).filter(isRunHere)) {
      const { code, output } = await session.run(command)
      outputs.set(command.text, output)
      if (code !== 0 && code !== undefined) failures.push(`line ${command.line}: ${command.text}\nended with ${code}:\n${output}`)
    }
  } finally {
    failures.push(...(await session.end()))
  }
  return { failures: failures.join('\n'), outputs }
}
