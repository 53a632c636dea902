/** Links that change what is shown; a new tab shows the same. */
import { el } from './text.js'
import { change, current, linkTo } from './view.js'

/**
 * @param {Partial<import('./view.js').View>} patch
 * @param {Record<string, unknown>} properties
 * @param {...(Node | string)} children
 */
export function viewLink(patch, properties, ...children) {
  const link = el('a', { ...properties, href: linkTo(patch) }, ...children)
  link.addEventListener('click', (/** @type {MouseEvent} */ event) => {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
    event.preventDefault()
    change(patch)
    if ('outcome' in patch) document.querySelector('#requests').scrollIntoView()
  })
  return link
}

/** The filters of now, and this one. */
export function withFilter(field, value) {
  const text = `${field}=${value ?? ''}`
  const { where } = current()
  return where.includes(text) ? where : [...where, text]
}
