/** The page's files: read once, from beside this module; the plotting library from its package. They hold no secrets. */
import { codeFile, dependencyFile } from '../lib/program.ts'
import type { AdminAnswer, AdminRoute } from './server.ts'

const types = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
} as const

/** In `page/`; a test holds the list to the folder. */
export const pageFiles = [
  'app.js',
  'ask.js',
  'budgets.js',
  'cells.js',
  'colours.js',
  'controls.js',
  'csv.js',
  'details.js',
  'distributions.js',
  'docs.js',
  'events.js',
  'first.js',
  'heatmap.js',
  'icon.svg',
  'link.js',
  'login.js',
  'now.js',
  'page.css',
  'plots.js',
  'requests.js',
  'save.js',
  'state.js',
  'text.js',
  'theme.js',
  'totals.js',
  'upstreams.js',
  'view.js',
  'zero.js',
  'zoom.js',
] as const

export function pageRoutes(): readonly AdminRoute[] {
  return [
    ...pageFiles.map((name) => fileRoute(`/page/${name}`, () => codeFile(`admin/page/${name}`))),
    fileRoute('/page/uplot.js', () => dependencyFile('uplot/dist/uPlot.esm.js')),
    fileRoute('/page/uplot.css', () => dependencyFile('uplot/dist/uPlot.min.css')),
  ]
}

export function pageDocument(name: 'index.html' | 'login.html'): (status: number) => AdminAnswer {
  const read = once(() => codeFile(`admin/page/${name}`).toString())
  return (status) => ({ status, contentType: types.html, body: read() })
}

function fileRoute(path: string, read: () => Buffer): AdminRoute {
  const readOnce = once(read)
  const extension = path.slice(path.lastIndexOf('.') + 1) as keyof typeof types
  return { path, answer: () => ({ status: 200, contentType: types[extension], body: readOnce() }) }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}
