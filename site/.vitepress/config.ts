/** The documentation site, of the pages in docs/: `npm run site` builds it into site/.vitepress/dist. It needs no other host, its search neither. */
import { existsSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { defineConfig } from 'vitepress'
import { anchorOf } from '../../src/lib/anchor.ts'

const root = resolve(import.meta.dirname, '../..')
const docs = join(root, 'docs')
const repository = 'https://github.com/tokenweir/tokenweir'

/** Words of a question that say nothing about its subject. It also runs in the browser, so that it uses nothing from outside. */
function termOf(term: string): string | null {
  const word = term.toLowerCase()
  const common =
    ' a an and are at be by can do does for from has have how i in is it its me my of on or that the there this to we what when where which with you your '
  if (common.includes(` ${word} `)) return null
  return word.length > 3 && !word.endsWith('ss') ? word.replace(/s$/, '') : word
}

/** The address in the repository of what a page links to outside of docs/. */
function repositoryUrl(page: string, href: string): string | undefined {
  if (/^([a-z]+:|#|\/)/.test(href)) return undefined
  const [path = '', anchor] = href.split('#')
  const file = resolve(dirname(join(docs, page)), path)
  if (file.startsWith(`${docs}/`) && file.endsWith('.md')) return undefined
  if (!existsSync(file)) throw new Error(`docs/${page} links to ${href}, which does not exist.`)
  return `${repository}/blob/main/${relative(root, file)}${anchor === undefined ? '' : `#${anchor}`}`
}

const pages = (...names: readonly (readonly [text: string, page: string])[]) => names.map(([text, page]) => ({ text, link: `/${page}` }))

export default defineConfig({
  title: 'tokenweir',
  description: 'One span, metrics, one log line and one ledger row for each request to an LLM',
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  srcDir: '../docs',
  cleanUrls: false,
  rewrites: { 'decisions/README.md': 'decisions/index.md' },
  markdown: {
    html: false,
    anchor: { slugify: anchorOf },
    config(markdown) {
      markdown.core.ruler.push('repository-links', ({ tokens, env }) => {
        for (const token of tokens.flatMap(({ children }) => children ?? [])) {
          const href = token.type === 'link_open' ? token.attrGet('href') : null
          const url = href === null ? undefined : repositoryUrl(relative(docs, env.path), href)
          if (url !== undefined) token.attrSet('href', url)
        }
      })
    },
  },
  themeConfig: {
    outline: [2, 3],
    socialLinks: [{ icon: 'github', link: repository }],
    search: {
      provider: 'local',
      options: { miniSearch: { options: { processTerm: termOf } } },
    },
    sidebar: [
      {
        text: 'Use it',
        items: pages(
          ['Start', ''],
          ['In front of …', 'recipes'],
          ['Clients and programs', 'recipes/clients'],
          ['Where telemetry goes', 'destinations'],
          ['Commands', 'commands'],
          ['Configuration', 'configuration'],
          ['Troubleshooting', 'troubleshooting'],
          ['Why is my usage zero?', 'zero-usage'],
          ['Security', 'security'],
        ),
      },
      {
        text: 'What it records',
        items: pages(
          ['The ledger', 'ledger'],
          ['Metrics and attributes', 'telemetry'],
          ['Costs and estimates', 'costs'],
          ['Budgets', 'budgets'],
          ['Who called', 'callers'],
          ['Labels', 'labels'],
          ['Which provider answered', 'providers'],
          ['Limits on rate', 'rate-limits'],
          ['Wire formats', 'wire-formats'],
        ),
      },
      {
        text: 'Watch it',
        items: pages(['The live page', 'live-page'], ['The stack', 'stack'], ['Dashboards', 'dashboards'], ['Alerts', 'alerts']),
      },
      { text: 'Work on it', items: pages(['Extending', 'extending'], ['Decisions', 'decisions/']) },
    ],
  },
})
