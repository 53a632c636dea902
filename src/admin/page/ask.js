/** Questions to the sidecar, asked again and again. */

const notice = /** @type {HTMLElement} */ (document.querySelector('#notice'))

export async function read(path) {
  const response = await fetch(path)
  if (response.status === 401) location.reload()
  const answer = await response.json()
  if (!response.ok) throw new Error(answer.error ?? `The sidecar answered ${response.status}.`)
  return answer
}

/** Above everything else, until it is empty again. */
export function say(text) {
  notice.hidden = text === ''
  if (notice.textContent !== text) notice.textContent = text
}

/**
 * Asks again and again: not before the last answer is there, not while nobody looks, and not for a view that was left.
 * @param {() => number} ms
 * @param {(isWanted: () => boolean) => Promise<void>} look
 */
export function every(ms, look) {
  let turn = 0
  let isUnderWay = false
  let askedAt = 0
  async function ask() {
    const mine = ++turn
    isUnderWay = true
    askedAt = Date.now()
    try {
      await look(() => mine === turn)
      if (mine === turn) say('')
    } catch (error) {
      if (mine === turn) say(error instanceof TypeError ? '' : error.message)
    }
    if (mine === turn) isUnderWay = false
  }
  setInterval(() => {
    if (!isUnderWay && !document.hidden && Date.now() - askedAt >= ms()) ask()
  }, 500)
  return ask
}
