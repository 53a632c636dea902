import { el } from './text.js'

/** A provider keeps its colour wherever it stands, and from one visit to the next. The eight can be told apart by colour-blind people. */
const count = 8
const key = 'tokenweir.colours'
const given = read()
let probe

function read() {
  try {
    const stored = JSON.parse(localStorage.getItem(key) ?? '{}')
    return new Map(Object.entries(stored).filter(([, place]) => Number.isInteger(place)))
  } catch {
    return new Map()
  }
}

/** The number of its colour: the first that nobody has, then around again. */
export function placeOf(provider) {
  const name = provider ?? ''
  const known = given.get(name)
  if (known !== undefined) return known
  const taken = new Set(given.values())
  const free = Array.from({ length: count }, (_, place) => place).find((place) => !taken.has(place))
  const place = free ?? given.size % count
  given.set(name, place)
  try {
    localStorage.setItem(key, JSON.stringify(Object.fromEntries([...given].slice(-200))))
  } catch {
    // Without storage they hold for this visit.
  }
  return place
}

/** As CSS has it now: it differs between light and dark. */
export function colourOf(provider) {
  return variable(`--series-${placeOf(provider)}`)
}

/** The colour itself: of the variable, a script would read both that it can be. */
export function variable(name) {
  probe ??= document.body.appendChild(el('span', { hidden: '' }))
  probe.style.color = `var(${name})`
  return getComputedStyle(probe).color
}
