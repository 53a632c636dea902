/**
 * A provider keeps its look wherever it stands, and from one visit to the next: one of eight colours that colour-blind people can tell apart,
 * and when these are taken, one of them in dashes.
 */
import { el, name } from './text.js'

const colourCount = 8
/** Of a line, in pixels: drawn and left out by turns. The first is drawn through. */
const dashes = [undefined, [9, 3], [2, 3], [9, 3, 2, 3]]
const lookCount = colourCount * dashes.length
const key = 'tokenweir.colours'
const given = read()
let probe

/** Two that have the same look, from before there were dashes, get another but for the first. */
function read() {
  const found = new Map()
  try {
    const taken = new Set()
    for (const [provider, look] of Object.entries(JSON.parse(localStorage.getItem(key) ?? '{}'))) {
      if (!Number.isInteger(look) || taken.has(look)) continue
      found.set(provider, look)
      taken.add(look)
    }
  } catch {
    // Without storage they hold for this visit.
  }
  return found
}

/** The number of its look: the first that nobody has, then around again. */
function numberOf(provider) {
  const known = given.get(provider ?? '')
  if (known !== undefined) return known
  const taken = new Set(given.values())
  const free = Array.from({ length: lookCount }, (_, look) => look).find((look) => !taken.has(look))
  const look = free ?? given.size % lookCount
  given.set(provider ?? '', look)
  try {
    localStorage.setItem(key, JSON.stringify(Object.fromEntries([...given].slice(-200))))
  } catch {
    // as above
  }
  return look
}

/** Its colour in CSS, and the dashes of its line. */
export function lookOf(provider) {
  const look = numberOf(provider) % lookCount
  return { colour: `var(--series-${look % colourCount})`, dash: dashes[Math.floor(look / colourCount)] }
}

/** A provider's name behind its look. */
export function marked(provider) {
  return el('span', {}, swatchOf(lookOf(provider)), name(provider))
}

/** What stands before a name: the colour, and where the line is dashed, a piece of the line. */
export function swatchOf({ colour, dash }) {
  const swatch = el('span', { class: dash === undefined ? 'swatch' : 'swatch dashed', 'aria-hidden': 'true' })
  swatch.style.setProperty('--colour', colour)
  if (dash !== undefined) {
    let at = 0
    const stops = dash.map((length, index) => `${index % 2 === 0 ? 'var(--colour)' : 'transparent'} ${at}px ${(at += length)}px`)
    swatch.style.setProperty('--dashes', `repeating-linear-gradient(90deg, ${stops.join(', ')})`)
  }
  return swatch
}

/** What a colour of CSS is now, in light or dark: a canvas knows no variables. */
export function colourNow(colour) {
  probe ??= document.body.appendChild(el('span', { hidden: '' }))
  probe.style.color = colour
  return getComputedStyle(probe).color
}
