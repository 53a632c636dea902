/** Light, dark, or as the system has it. */
const key = 'tokenweir.theme'

/** `onChange` runs whenever the colours have become others, for what does not follow by CSS. */
export function followTheme(onChange) {
  const stored = (() => {
    try {
      return localStorage.getItem(key)
    } catch {
      return null
    }
  })()
  const inputs = [.../** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll('#themes input'))]
  const apply = (theme) => {
    if (theme === 'auto') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = theme
  }
  const chosen = inputs.find(({ value }) => value === stored) ?? inputs[0]
  chosen.checked = true
  apply(chosen.value)
  for (const input of inputs) {
    input.addEventListener('change', () => {
      apply(input.value)
      try {
        localStorage.setItem(key, input.value)
      } catch {
        // Without storage it holds for this visit.
      }
      onChange()
    })
  }
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', onChange)
}
