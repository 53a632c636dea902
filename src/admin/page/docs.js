/** Links into the documents, which the sidecar serves as plain text. */
import { el } from './text.js'

/** @param {string} file @param {string} [passage] Where the browser scrolls to: a text that stands there once. */
export function docLink(file, passage, text = 'Docs') {
  const fragment = passage === undefined ? '' : `#:~:text=${encodeURIComponent(passage).replaceAll('-', '%2D')}`
  return el('a', { class: 'docs', href: `/docs/${file}.md${fragment}`, target: '_blank', rel: 'noreferrer' }, text)
}

/** Of the reason of a usage outcome. */
export function reasonLink(reason, text = 'What to do') {
  return docLink('zero-usage', reason === 'zero' ? '## The provider says 0' : `### \`${reason}\``, text)
}
