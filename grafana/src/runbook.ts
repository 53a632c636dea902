/** docs/alerts.md as a dashboard, so that a notification leads to what to do wherever Grafana is. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Page } from './layout.ts'
import { textPanel } from './panels.ts'

interface Section {
  readonly title: string
  readonly text: string
}

const written = readFileSync(resolve(import.meta.dirname, '../../docs/alerts.md'), 'utf8')
const [introduction = '', ...rest] = written.split(/^## /m)
const sections: readonly Section[] = rest.map((part) => {
  const [title = '', ...lines] = part.split('\n')
  return { title, text: lines.join('\n').trim() }
})

/** Section of docs/dashboards.md → name of its page. */
const pageOf: Readonly<Record<string, string>> = { 'tokens-per-provider': 'tokens', 'the-sidecar-itself': 'sidecar' }

/** Links that lead somewhere in Grafana; those to other documents become their names. */
const forGrafana = (text: string) =>
  text
    .replaceAll(/\]\(dashboards\.md#([\w-]+)\)/g, (_, section: string) => `](/d/tokenweir-${pageOf[section] ?? section})`)
    .replaceAll(/\[[^\]]+\]\(([\w-]+\.md)(?:#[\w-]+)?\)/g, '`docs/$1`')

/** Rows of the grid for a text of so many lines. */
const heightOf = (text: string) => Math.max(5, Math.ceil(text.split('\n').length * 0.9) + 1)
const panelOf = ({ title, text }: Section) => textPanel(title, forGrafana(text), heightOf(text))

export const runbookPage: Page = {
  name: 'runbook',
  title: 'Runbook',
  description: 'What each alert means, what to do first, how to silence it: docs/alerts.md.',
  textOnly: true,
  rows: [
    {
      title: 'Alerts',
      panels: [...sections, { title: 'About the alerts', text: introduction.replace(/^# .*\n/, '').trim() }].map(panelOf),
    },
  ],
}

/** The panel of a section alone, from the root of Grafana. The heading of the row is the first panel. */
export function runbookPath(title: string): string {
  const index = sections.findIndex((section) => section.title === title)
  if (index === -1) throw new Error(`docs/alerts.md has no section "## ${title}"; write one.`)
  return `/d/tokenweir-${runbookPage.name}?viewPanel=panel-${index + 2}`
}
