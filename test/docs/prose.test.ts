/**
 * What can be checked of the documents' prose without taste: length of sentences, empty phrases, anchors, pictures, and the commands within sentences (those of
 * blocks are run: `printed.test.ts`).
 */
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { anchorOf } from '../../src/lib/anchor.ts'

const root = resolve(import.meta.dirname, '../..')
const read = (name: string) => readFileSync(join(root, name), 'utf8')
const translated = ['README.zh-CN.md']
const documents = globSync(['*.md', '{deploy,bench,docs,examples}/**/*.md'], { cwd: root, exclude: ['**/node_modules/**', ...translated] })
  .map(String)
  .sort()

const wordsMax = 40
const banned =
  /\b(simply|just works|basically|obviously|of course|seamless(ly)?|leverage|utili[sz]e|in order to|blazing|cutting-edge|please note|it should be noted)\b/gi

/** Fenced blocks, comments and pictures are no prose. */
const prose = (text: string) => text.replace(/^```[\s\S]*?^```/gm, '').replace(/<!--[\s\S]*?-->|<picture>[\s\S]*?<\/picture>/g, '')

/** Sentences end with . ? ! : or ; and so do items of lists; cells of tables are none. Code counts as one word, parentheses as none. */
function longSentences(text: string): string[] {
  return prose(text)
    .split(/\n\s*\n|\n(?=\s*(?:[-*|#]|\d+\.) )/)
    .filter((block) => !block.trimStart().startsWith('|'))
    .map((block) =>
      block
        .replace(/`[^`]*`/g, 'code')
        .replace(/\]\([^)]*\)/g, ']')
        .replace(/\([^()]*\)/g, ''),
    )
    .flatMap((block) => block.replaceAll('\n', ' ').split(/(?<=[.?!:;])["*]*\s/))
    .filter((sentence) => (sentence.match(/[\p{L}\p{N}]\S*/gu) ?? []).length > wordsMax)
}

const anchorsOf = (text: string) =>
  [...text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchorOf(heading as string))

function deadAnchors(name: string): string[] {
  return [...prose(read(name)).matchAll(/\]\(([^)#\s:]*)#([^)\s]+)\)/g)]
    .filter(([, path, anchor]) => {
      const file = path === '' ? name : join(dirname(name), path as string)
      return !existsSync(join(root, file)) || !anchorsOf(read(file)).includes(anchor as string)
    })
    .map(([link]) => link)
}

/** Of each command its options, as `--help` prints them; '' is tokenweir itself, whose options hold everywhere. */
const helps = new Map(
  read('docs/commands.md')
    .split(/^## tokenweir ?/m)
    .slice(1)
    .map((part) => [part.split('\n')[0] as string, new Set(part.match(/(?<=^ {2}.*)--[a-z][\w-]*/gm))]),
)
const dockerCommands = ['build', 'compose', 'run', 'pull', 'exec', 'logs', 'ps']

/** What a command says that this project does not know. */
function unknownCommands(code: string): string[] {
  const found = [...code.matchAll(/(?:^|[;&|]\s*|=\S*\s+|\bnpx )(tokenweir|npm|docker)(?=\s|$)((?:\s+[^\s;&|]+)*)/g)]
  return found.flatMap(([, program, rest]) => {
    const words = (rest as string).trim().split(/\s+/)
    const [first = ''] = words
    if (program === 'docker') return dockerCommands.includes(first) ? [] : [`docker ${first}`]
    const script = first === 'run' ? (words[1] ?? '') : first
    if (program === 'npm') {
      const isKnown = script in packageJson.scripts || (first !== 'run' && ['ci', 'install', 'audit', 'pack'].includes(first))
      const own = script === 'start' && words.includes('--') ? unknownOptions('', words.slice(words.indexOf('--') + 1)) : []
      return isKnown ? own : [`npm ${words.slice(0, 2).join(' ')}`]
    }
    if (!['', '…'].includes(first) && !first.startsWith('-') && !helps.has(first)) return [`tokenweir ${first}`]
    return unknownOptions(first.startsWith('-') ? '' : first, words)
  })
}

function unknownOptions(command: string, words: readonly string[]): string[] {
  const options = words.filter((word) => /^--\w/.test(word)).map((word) => word.replace(/=.*/, ''))
  return options.filter((option) => !helps.get(command)?.has(option) && !helps.get('')?.has(option)).map((option) => `${command} ${option}`)
}

const codeIn = (text: string) => [...prose(text).matchAll(/`([^`]+)`/g)].map(([, code]) => (code as string).replaceAll('\n', ' '))

describe.each(documents)('%s', (name) => {
  it(`has no sentence of more than ${wordsMax} words`, () => expect(longSentences(read(name))).toEqual([]))
  it('has no empty phrase', () => expect(prose(read(name)).match(banned) ?? []).toEqual([]))
})

describe.each([...documents, ...translated])('%s', (name) => {
  it('links to headings that exist', () => expect(deadAnchors(name)).toEqual([]))
  it('has only commands, scripts and options that exist', () => expect(codeIn(read(name)).flatMap(unknownCommands)).toEqual([]))
})

it.each(['README.md', ...translated])('the pictures of %s are there, in light and in dark, and small', (name) => {
  const pictures = [...read(name).matchAll(/(?:src|srcset)="([^"]+)"/g)].map(([, path]) => path as string)
  expect(pictures.sort()).toEqual(['docs/images/live-page-dark.png', 'docs/images/live-page-light.png'])
  for (const path of pictures) expect(statSync(join(root, path)).size).toBeLessThan(200_000)
})

it('this guard finds what it looks for', () => {
  expect(longSentences(`${'word '.repeat(41)}.\n\n${'word '.repeat(40)}.`)).toHaveLength(1)
  expect('It simply works'.match(banned)).toEqual(['simply'])
  const text =
    '`tokenweir reprot` `npm run nothing` and `docker fly` `A=1 npm start -- --upstrem x` `npx tokenweir report\n--bye x` `tokenweir.db`'
  expect(codeIn(text).flatMap(unknownCommands)).toEqual(['tokenweir reprot', 'npm run nothing', 'docker fly', ' --upstrem', 'report --bye'])
})
