/** The Chinese README says what the English one says, as far as can be told without reading it: its parts, commands, links, figures and names. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const read = (name: string) => readFileSync(join(root, name), 'utf8')

const all = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, found]) => found as string)
const withoutBlocks = (text: string) => text.replace(/^```[\s\S]*?^```/gm, '')

function partsOf(text: string) {
  const prose = withoutBlocks(text)
  return {
    headings: all(prose, /^(#+) /gm),
    rows: all(prose, /^(\|)/gm).length,
    listItems: all(prose, /^(-) /gm).length,
    // Without their comments, which are translated.
    blocks: all(text, /^```([\s\S]*?)^```/gm).map((block) => block.replace(/ +# .*$/gm, '')),
    // One to a heading of its own goes by the heading's words.
    links: all(prose, /\]\(([^)]+)\)/g)
      .filter((link) => !/^README/.test(link))
      .map((link) => link.replace(/^#.*/, '#')),
    references: all(prose, /^(\[\w+\]: \S+)$/gm),
    code: all(prose, /`([^`]+)`/g).sort(),
    // Years, versions and ports are in them too.
    figures: all(prose.replace(/`[^`]*`|\]\([^)]*\)/g, ''), /(\d[\d.,]*\d|\d)/g).sort(),
  }
}

it('README.zh-CN.md has the parts, commands, links, figures and names of README.md', () => {
  const [english, chinese] = ['README.md', 'README.zh-CN.md'].map((name) => partsOf(read(name)))
  expect(chinese).toEqual(english)
})

it('this guard sees a command, a link, a figure and a name that differ', () => {
  const text = '# A\n\n`one` costs 12.9 % ([why](docs/a.md)).\n\n```sh\nrun --this # so\n```\n'
  const translated = text.replace('costs', '用掉').replace('# so', '# 这样')
  expect(partsOf(translated)).toEqual(partsOf(text))
  for (const [from, to] of [
    ['--this', '--that'],
    ['a.md', 'b.md'],
    ['12.9', '12.8'],
    ['`one`', '`two`'],
    ['# A', '## A'],
  ] as const)
    expect(partsOf(text.replace(from, to))).not.toEqual(partsOf(text))
})
