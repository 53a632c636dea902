/** Chooses a part of a plot's time: by dragging with mouse, pen or finger, and with the keyboard. */

/** Less is a click. */
const dragMin = 8

const lengthOf = (times) => (times.length > 1 ? times[1] - times[0] : 1)

/**
 * @param {HTMLElement} root Of the plot; it is focusable.
 * @param {() => import('./uplot.js').default | undefined} plotOf
 * @param {(sinceMs: number, untilMs: number) => void} onZoom
 * @param {(index: number, until?: number) => void} onMove For people who hear where the cursor is.
 */
export function followZoom(root, plotOf, onZoom, onMove) {
  /** @type {{ pointer: number, from: number } | undefined} */
  let drag
  /** Of the keyboard: indexes of the cursor, and of where a selection began. */
  let at
  let anchor

  const leftOf = (event) => {
    const { over } = plotOf()
    const { left, width } = over.getBoundingClientRect()
    return Math.min(width, Math.max(0, event.clientX - left))
  }
  function select(from, to) {
    const plot = plotOf()
    plot.setSelect({ left: Math.min(from, to), width: Math.abs(to - from), top: 0, height: plot.over.clientHeight }, false)
  }
  /** In seconds. A point stands for the interval that it begins: the right edge is the end of the last one. */
  function zoom(plot, from, to) {
    const times = plot.data[0]
    onZoom(from * 1000, Math.min(to, times.at(-1) + lengthOf(times)) * 1000)
  }
  function clear() {
    drag = undefined
    anchor = undefined
    select(0, 0)
  }

  root.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || /** @type {Element} */ (event.target).closest('.u-over') === null) return
    drag = { pointer: event.pointerId, from: leftOf(event) }
    root.setPointerCapture(event.pointerId)
  })
  root.addEventListener('pointermove', (event) => {
    if (drag?.pointer === event.pointerId) select(drag.from, leftOf(event))
  })
  root.addEventListener('pointerup', (event) => {
    if (drag?.pointer !== event.pointerId) return
    const [from, to] = [drag.from, leftOf(event)].sort((a, b) => a - b)
    const plot = plotOf()
    clear()
    if (to - from >= dragMin)
      zoom(plot, plot.posToVal(from, 'x'), to >= plot.over.clientWidth - 1 ? Number.POSITIVE_INFINITY : plot.posToVal(to, 'x'))
  })
  // The browser scrolls instead.
  root.addEventListener('pointercancel', () => drag !== undefined && clear())

  root.addEventListener('keydown', (event) => {
    const plot = plotOf()
    if (plot === undefined) return
    const times = plot.data[0]
    const last = times.length - 1
    const from = at ?? last
    const step = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last, PageUp: from - 10, PageDown: from + 10 }[event.key]
    if (step !== undefined) {
      anchor = event.shiftKey ? (anchor ?? from) : undefined
      at = Math.min(last, Math.max(0, step))
      plot.setCursor({ left: plot.valToPos(times[at], 'x'), top: 0 })
      if (anchor === undefined) select(0, 0)
      else select(plot.valToPos(times[anchor], 'x'), plot.valToPos(times[at], 'x'))
      onMove(Math.min(at, anchor ?? at), anchor === undefined ? undefined : Math.max(at, anchor))
    } else if (event.key === 'Enter' && anchor !== undefined && anchor !== at) {
      const [begin, end] = [times[anchor], times[at]].sort((a, b) => a - b)
      clear()
      zoom(plot, begin, end + lengthOf(times))
    } else if (event.key === 'Escape' && anchor !== undefined) clear()
    else return
    event.preventDefault()
  })
  root.addEventListener('blur', () => {
    at = undefined
    if (anchor !== undefined && plotOf() !== undefined) clear()
  })
}
