/** The way in: the token goes once, in a header, and comes back as a cookie that scripts cannot read. */
const form = document.querySelector('#login')
const token = /** @type {HTMLInputElement} */ (document.querySelector('#token'))
const problem = document.querySelector('#token-problem')

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  problem.textContent = ''
  try {
    const response = await fetch('/api/session', { method: 'POST', headers: { authorization: `Bearer ${token.value.trim()}` } })
    if (response.ok) location.reload()
    else if (response.status === 429) problem.textContent = 'Too many wrong tokens came from here. Wait a minute, and try again.'
    else problem.textContent = 'This is not the token. Look it up where tokenweir was started.'
  } catch {
    problem.textContent = 'tokenweir does not answer, or the token holds signs that no token has.'
  }
  token.focus()
})
