/** Many small things of one kind: one stop of the Tab key, arrow keys within. What is pointed at or focused says its value below. */

/**
 * @param {HTMLElement} root
 * @param {string} selector
 * @param {() => number} width Of a line of them.
 * @param {(cell: HTMLElement) => void} onPoint
 */
export function followCells(root, selector, width, onPoint) {
  const all = () => /** @type {HTMLElement[]} */ ([...root.querySelectorAll(selector)])
  const cellOf = (event) => /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest(selector))
  root.addEventListener('keydown', (event) => {
    const cells = all()
    const at = cells.indexOf(cellOf(event))
    if (at === -1) return
    const target = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      ArrowDown: at + width(),
      ArrowUp: at - width(),
      Home: 0,
      End: cells.length - 1,
    }[event.key]
    if (cells[target] === undefined) return
    event.preventDefault()
    cells[at].tabIndex = -1
    cells[target].tabIndex = 0
    cells[target].focus()
  })
  for (const kind of ['focusin', 'pointerover', 'pointerdown']) {
    root.addEventListener(kind, (event) => {
      const cell = cellOf(event)
      if (cell !== null) onPoint(cell)
    })
  }
}
