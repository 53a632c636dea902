/** The three plots. History comes out of the ledger, the last bucket grows with each tick; the range before stands behind it, faint. */
import { colourNow, lookOf, swatchOf } from './colours.js'
import { clock, el, milliseconds, rate, tick as tickText } from './text.js'
import uPlot from './uplot.js'
import { followZoom } from './zoom.js'

/** @param {(sinceMs: number, untilMs: number) => void} onZoom */
export function createPlots(onZoom) {
  const tokens = createPlot('tokens', rate, tickText, onZoom)
  const requests = createPlot('rate', rate, tickText, onZoom)
  const first = createPlot('first', milliseconds, (value) => milliseconds(value), onZoom)
  let series
  /** Of the range before, and how long ago it is. */
  let earlier

  /** What stood so long before, at the places of now. */
  function shifted(values) {
    if (values === undefined) return undefined
    const { answer, agoMs } = earlier
    const by = Math.round((series.sinceMs - agoMs - answer.sinceMs) / series.bucketMs)
    return series.requests.map((_, index) => values[index + by] ?? null)
  }

  function draw() {
    if (series === undefined) return
    const { sinceMs, bucketMs, requests: ended, errors } = series
    const times = ended.map((_, index) => (sinceMs + index * bucketMs) / 1000)
    const before = earlier?.answer
    const beforePerSecond = (values) => shifted(values)?.map((value) => (value === null ? null : value / (bucketMs / 1000)))
    const perSecond = (values) => values.map((value, index) => (value === null ? null : value / secondsOf(index)))
    const secondsOf = (index) => Math.max(1, Math.min(bucketMs, series.nowMs - (sinceMs + index * bucketMs)) / 1000)
    const lines = series.providers.map(({ provider, tokens: values }) => ({
      label: provider ?? 'no inference',
      ...lookOf(provider),
      values: perSecond(values),
      before: beforePerSecond(before?.providers.find((line) => line.provider === provider)?.tokens),
    }))
    if (series.others !== null)
      lines.push({
        label: 'all others',
        colour: 'var(--soft)',
        dash: [4, 4],
        values: perSecond(series.others),
        before: beforePerSecond(before?.others ?? undefined),
      })
    tokens.draw(times, lines)
    requests.draw(times, [
      { label: 'requests', colour: 'var(--accent)', values: perSecond(ended), before: beforePerSecond(before?.requests) },
      { label: 'errors', colour: 'var(--bad)', values: perSecond(errors), before: beforePerSecond(before?.errors) },
    ])
    first.draw(times, [
      { label: 'median', colour: 'var(--accent)', values: series.firstChunkP50Ms, before: shifted(before?.firstChunkP50Ms) },
      { label: '95 %', colour: 'var(--warn)', dash: [4, 4], values: series.firstChunkP95Ms, before: shifted(before?.firstChunkP95Ms) },
    ])
    document.querySelector('#tokens-said').textContent =
      lines.length === 0
        ? 'No tokens in this range.'
        : `Now: ${lines.map(({ label, values }) => `${label} ${rate(values.at(-1))}`).join(', ')}.`
  }

  return {
    /** The answer of `/api/series`, and that of the range before, which was so long ago. */
    show(answer, before, agoMs) {
      // By name: an order by size would change while one looks.
      const providers = answer.providers.toSorted((a, b) => ((a.provider ?? '') < (b.provider ?? '') ? -1 : 1))
      series = { ...answer, providers, nowMs: Math.min(Date.now(), answer.untilMs) }
      earlier = before === undefined ? undefined : { answer: before, agoMs }
      draw()
    },
    tick(tick) {
      if (series === undefined) return
      series.nowMs = tick.atMs
      while (tick.atMs >= series.untilMs) slide(series)
      const last = series.requests.length - 1 - Math.floor((series.untilMs - 1 - tick.atMs) / series.bucketMs)
      if (last < 0) return
      series.requests[last] += tick.requests
      series.errors[last] += tick.errors
      const first = tick.firstChunkMs
      if (first !== null && tick.requests > 0) {
        series.firstChunkP50Ms[last] ??= first.p50
        series.firstChunkP95Ms[last] ??= first.p95
      }
      for (const { provider, tokens: count } of tick.providers) {
        const known = series.providers.find((line) => line.provider === provider)
        if (known !== undefined) known.tokens[last] = (known.tokens[last] ?? 0) + count
        else if (series.providers.length < 8)
          series.providers.push({ provider, tokens: series.requests.map((_, index) => (index === last ? count : 0)) })
        else (series.others ??= series.requests.map(() => 0))[last] += count
      }
      if (!document.hidden) draw()
    },
    draw,
    /** What is drawn, one row for each interval. */
    rows() {
      if (series === undefined) return []
      return series.requests.map((requests, index) => ({
        from: new Date(series.sinceMs + index * series.bucketMs).toISOString(),
        seconds: series.bucketMs / 1000,
        requests,
        errors: series.errors[index],
        streams_without_usage: series.zeroUsage[index],
        first_chunk_p50_ms: series.firstChunkP50Ms[index],
        first_chunk_p95_ms: series.firstChunkP95Ms[index],
        ...Object.fromEntries(
          series.providers.map(({ provider, tokens: counts }) => [`tokens ${provider ?? 'no inference'}`, counts[index]]),
        ),
        ...(series.others === null ? {} : { 'tokens all others': series.others[index] }),
      }))
    },
  }
}

/** One bucket further. */
function slide(series) {
  series.sinceMs += series.bucketMs
  series.untilMs += series.bucketMs
  const push = (values, value) => {
    values.shift()
    values.push(value)
  }
  for (const { tokens } of series.providers) push(tokens, 0)
  if (series.others !== null) push(series.others, 0)
  push(series.requests, 0)
  push(series.errors, 0)
  push(series.zeroUsage, 0)
  push(series.firstChunkP50Ms, null)
  push(series.firstChunkP95Ms, null)
}

function createPlot(id, valueText, axisText, onZoom) {
  const root = /** @type {HTMLElement} */ (document.querySelector(`#plot-${id}`))
  const legend = document.querySelector(`#legend-${id}`)
  const hidden = new Set()
  let plot
  let drawn = ''
  let lines = []

  function legendValue(index) {
    ;[...legend.querySelectorAll('.now')].forEach((field, at) => {
      const values = lines[at]?.values ?? []
      const text = valueText(values[index ?? values.length - 1])
      if (field.textContent !== text) field.textContent = text
    })
  }

  function toggle(label, button) {
    if (!hidden.delete(label)) hidden.add(label)
    button.setAttribute('aria-pressed', String(!hidden.has(label)))
    const at = lines.findIndex((line) => line.label === label)
    if (at < 0) return
    plot?.setSeries(at + 1, { show: !hidden.has(label) })
    if (lines[at].before !== undefined) plot?.setSeries(lines.length + 1 + faint().indexOf(lines[at]), { show: !hidden.has(label) })
  }

  /** Those that have a line of the range before. */
  const faint = () => lines.filter(({ before }) => before !== undefined)

  function sayAt(index, until) {
    const time = (at) => clock(plot.data[0][at] * 1000)
    const values = lines.map((line) => `${line.label} ${valueText(line.values[index])}`).join(', ')
    document.querySelector('#said').textContent =
      until === undefined ? `${time(index)}: ${values}` : `${time(index)} to ${time(until)}. Enter shows this range.`
  }

  function makeLegend() {
    legend.replaceChildren(
      ...lines.map(({ label, colour, dash }) => {
        const button = el(
          'button',
          { type: 'button', 'aria-pressed': String(!hidden.has(label)) },
          swatchOf({ colour, dash }),
          el('bdi', {}, label),
          el('span', { class: 'now' }),
        )
        button.addEventListener('click', () => toggle(label, button))
        return el('li', {}, button)
      }),
    )
  }

  function make(data) {
    plot?.destroy()
    const soft = colourNow('var(--soft)')
    const grid = { stroke: colourNow('var(--line)'), width: 1 }
    const font = `11px ${getComputedStyle(document.body).fontFamily}`
    plot = new uPlot(
      {
        width: root.clientWidth,
        height: root.clientHeight,
        padding: [8, 24, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
        select: { show: true, left: 0, top: 0, width: 0, height: 0 },
        scales: { y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
        axes: [
          { stroke: soft, grid, ticks: { show: false }, font, size: 24, space: 70, values: timeTexts },
          { stroke: soft, grid, ticks: { show: false }, font, size: 56, space: 32, values: (_plot, splits) => splits.map(axisText) },
        ],
        series: [
          {},
          ...lines.map(({ label, stroke, dash }) => ({
            label,
            stroke,
            width: 1.5,
            dash,
            show: !hidden.has(label),
            points: { show: true, size: 4, width: 0, fill: stroke, filter: lonely },
          })),
          ...faint().map(({ label, stroke, dash }) => ({
            label,
            stroke: faded(stroke),
            width: 1.5,
            dash,
            show: !hidden.has(label),
            points: { show: false },
          })),
        ],
        hooks: { setCursor: [({ cursor }) => legendValue(cursor.idx)] },
      },
      data,
      root,
    )
  }

  followZoom(root, () => plot, onZoom, sayAt)
  new ResizeObserver(() => plot?.setSize({ width: root.clientWidth, height: root.clientHeight })).observe(root)
  return {
    draw(times, given) {
      lines = given.map((line) => ({ ...line, stroke: colourNow(line.colour) }))
      const data = [times, ...lines.map(({ values }) => values), ...faint().map(({ before }) => before)]
      const shape = JSON.stringify(lines.map(({ label, stroke, dash, before }) => [label, stroke, dash, before !== undefined]))
      if (shape === drawn) plot.setData(data)
      else {
        drawn = shape
        makeLegend()
        make(data)
      }
      legendValue(plot.cursor.idx)
    },
  }
}

/** A colour of CSS, seen through. */
function faded(colour) {
  return colour.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.35)')
}

/** Values between two gaps: a line cannot show them, a point can. */
function lonely(plot, at) {
  const values = plot.data[at]
  return values.flatMap((value, index) => (value != null && values[index - 1] == null && values[index + 1] == null ? [index] : []))
}

const minute = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const second = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })

function timeTexts(_plot, splits) {
  const step = splits.length > 1 ? splits[1] - splits[0] : 60
  const format = step < 60 ? second : step < 86_400 ? minute : day
  return splits.map((value) => {
    const date = new Date(value * 1000)
    const isMidnight = step < 86_400 && step >= 3600 && date.getHours() === 0 && date.getMinutes() === 0
    return (isMidnight ? day : format).format(date)
  })
}
