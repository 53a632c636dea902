/** The documents, as the page links to them: their text as it is written, with anchors at its headings and links between documents. */
import { posix } from 'node:path'
import { anchorOf } from '../lib/anchor.ts'
import { packageFile, packageFiles } from '../lib/program.ts'
import type { AdminRoute } from './server.ts'

/** A package without the documents has no such routes. */
export function documentRoutes(): readonly AdminRoute[] {
  const documents = packageFiles('docs').filter((path) => path.endsWith('.md') && posix.dirname(path) === 'docs')
  return documents.map((path) => ({
    path: `/${path}`,
    answer: () => ({ status: 200, contentType: 'text/html; charset=utf-8', body: documentOf(packageFile(path).toString()) }),
  }))
}

function documentOf(text: string): string {
  const lines = escaped(text).split('\n').map(headingOf).join('\n')
  const linked = lines.replace(/\]\(([\w-]+\.md)?(#[\w-]+)?\)/g, (whole, file = '', anchor = '') =>
    file + anchor === '' ? whole : `](<a href="${file}${anchor}">${file}${anchor}</a>)`,
  )
  const title = escaped(/^# (.+)$/m.exec(text)?.[1] ?? 'tokenweir')
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="/page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page/page.css">
</head>
<body>
<main class="card document">
${linked}</main>
</body>
</html>
`
}

function headingOf(line: string): string {
  const [, marks = '', title] = /^(#{1,4}) (.+)$/.exec(line) ?? []
  return title === undefined ? line : `<h${marks.length} id="${anchorOf(title.replace(/&\w+;/g, ''))}">${title}</h${marks.length}>`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
