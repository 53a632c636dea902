/** Links into the documents, which the sidecar serves. */
import { el } from './text.js'

/** @param {string} file @param {string} [anchor] Of a heading. */
export function docLink(file, anchor, text = 'Docs') {
  return el(
    'a',
    { class: 'docs', href: `/docs/${file}.md${anchor === undefined ? '' : `#${anchor}`}`, target: '_blank', rel: 'noreferrer' },
    text,
  )
}

/** Of the reason of a usage outcome. */
export function reasonLink(reason, text = 'What to do') {
  return docLink('zero-usage', reason === 'zero' ? 'the-provider-says-0' : reason, text)
}
