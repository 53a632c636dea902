/** What is shown as a file, or on the clipboard. */
import { csvOf } from './csv.js'
import { el } from './text.js'

/**
 * Two buttons that save what is shown.
 * @param {string} name Of the file, without its end.
 * @param {string} what For people who hear the buttons.
 * @param {() => Record<string, unknown>[]} rows
 */
export function saveButtons(name, what, rows) {
  const button = (kind, textOf, type) =>
    el(
      'button',
      {
        type: 'button',
        class: 'small',
        'data-save': kind,
        'aria-label': `Save ${what} as ${kind.toUpperCase()}`,
        onclick: () => save(`${name}.${kind}`, textOf(rows()), type),
      },
      kind.toUpperCase(),
    )
  return el(
    'span',
    { class: 'saves' },
    button('csv', csvOf, 'text/csv'),
    button('json', (all) => `${JSON.stringify(all, undefined, 2)}\n`, 'application/json'),
  )
}

function save(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }))
  el('a', { href: address, download: name }).click()
  setTimeout(() => URL.revokeObjectURL(address), 10_000)
}

/**
 * @param {string} what For people who hear the button.
 * @param {() => string} textOf
 */
export function copyButton(what, textOf, title = 'Copy') {
  const button = el('button', { type: 'button', class: 'small copy' })
  const label = (word) => button.replaceChildren(word, el('span', { class: 'unseen' }, ` ${what}`))
  label(title)
  button.addEventListener('click', async () => {
    const isCopied = await copy(textOf())
    label(isCopied ? 'Copied' : 'Not allowed')
    document.querySelector('#said').textContent = isCopied ? `Copied ${what}.` : `The browser does not let this page copy ${what}.`
    setTimeout(() => label(title), 1500)
  })
  return button
}

/** Without TLS, only a page of this machine has a clipboard; elsewhere a selection is copied. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const field = /** @type {HTMLTextAreaElement} */ (el('textarea', { class: 'unseen', readonly: true }, text))
    const parent = document.querySelector('dialog[open]') ?? document.body
    const focused = /** @type {HTMLElement} */ (document.activeElement)
    parent.append(field)
    field.select()
    const isCopied = document.execCommand('copy')
    field.remove()
    focused?.focus()
    return isCopied
  }
}
