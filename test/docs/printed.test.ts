/** Every command that a document prints is run as it is printed, document by document, or is one of those in `printed/elsewhere.ts`. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { allCommands, commandsOf, documents, root, simpleCommands } from './printed/commands.ts'
import { elsewhere, elsewhereOf } from './printed/elsewhere.ts'
import { commandsIn, follow, isRunHere } from './printed/follow.ts'

/** `npm run test:gateways` runs them, with the gateways that they are about. */
const withGateways = /^examples\//
const gatewaysTest = 'test/gateways/printed.gate.test.ts'

const here = documents.filter((name) => !withGateways.test(name) && commandsIn(name).length > 0)

describe.each(here)('%s', (name) => {
  it('has sound commands where they are not run here', () => {
    const problems = commandsIn(name).flatMap(({ line, text }) =>
      simpleCommands(text).flatMap(
        (words) =>
          elsewhereOf(words)
            ?.problems?.(words)
            .map((problem) => `line ${line}: ${problem}`) ?? [],
      ),
    )
    expect(problems).toEqual([])
  })
})

describe.each(here.filter((name) => commandsIn(name).some(isRunHere)))('%s', (name) => {
  it('has commands that do what they should, from top to bottom', { timeout: 600_000 }, async () => {
    expect((await follow(name)).failures).toBe('')
  })
})

it('what is run elsewhere is printed somewhere, and its test is there', () => {
  const printed = allCommands().flatMap(({ text }) => simpleCommands(text).map((words) => elsewhereOf(words)))
  const stale = Object.entries(elsewhere).filter(([, one]) => !printed.includes(one) || !existsSync(join(root, one.test)))
  expect(stale.map(([name]) => name)).toEqual([])
})

it('what needs gateways is run with them', () => {
  const text = readFileSync(join(root, gatewaysTest), 'utf8')
  const needing = documents.filter((name) => withGateways.test(name) && commandsIn(name).length > 0)
  expect(needing.filter((name) => !text.includes(`'${name}'`))).toEqual([])
})

describe('this guard', () => {
  it('finds commands: with a comment, over several lines, behind a $, as an example of --help', () => {
    const text = [
      '```sh',
      'a b # c',
      "d 'e",
      "f'",
      'g \\',
      '  h',
      '```',
      '```console',
      '$ i',
      'output',
      '```',
      '```text',
      '  tokenweir j',
      '  k',
      '```',
      'l',
    ]
    expect(commandsOf('x.md', text.join('\n')).map((one) => [one.line, one.text])).toEqual([
      [2, 'a b # c'],
      [3, "d 'e\nf'"],
      [5, 'g \\\n  h'],
      [9, 'i'],
      [13, 'tokenweir j'],
    ])
  })

  it('knows the program of each command of a line', () => {
    const text = `A=1 B='2 3' npm start -- --x "y; z" && sudo tee -a f # docker\n`
    expect(simpleCommands(text)).toEqual([
      ['npm', 'start', '--', '--x', '"y; z"'],
      ['tee', '-a', 'f'],
    ])
  })

  it.each([
    ['docker fly', ['docker fly is not one of build, compose, run, exec']],
    ['docker compose --env-file deploy/none.env up', ['deploy/none.env is not there']],
    ['kubectl apply -k deploy/kubernetes/none', ['deploy/kubernetes/none/kustomization.yaml is not there']],
    ['helm install x deploy/helm/tokenweir --set upstrem=y', ['upstrem is no value of deploy/helm/tokenweir']],
  ])('%s', (text, problems) => {
    expect(simpleCommands(text).flatMap((words) => elsewhereOf(words)?.problems?.(words) ?? [])).toEqual(problems)
  })
})
