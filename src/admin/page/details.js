/** One request, whole: its times on a line, its usage, how it ended, where its trace is. */
import { docLink, reasonLink } from './docs.js'
import { viewLink, withFilter } from './link.js'
import { outcomeWords } from './requests.js'
import { copyButton } from './save.js'
import { bytes, clock, el, milliseconds, name, number, unknown, usd } from './text.js'
import { change, current } from './view.js'

export function createDetails({ read, traceUrl }) {
  const dialog = /** @type {HTMLDialogElement} */ (document.querySelector('#details'))
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close()
    // Its filters are shown behind it.
    else if (/** @type {Element} */ (event.target).closest('a.filter') !== null) dialog.close()
  })
  /** Closed by hand, it leaves the address too; the way back leads to before it was opened. */
  dialog.addEventListener('close', () => {
    if (current().id === '') return
    if (history.state === opened) history.back()
    else change({ id: '' }, { keep: true })
  })

  async function show(id) {
    const close = el('button', { type: 'button', class: 'close', onclick: () => dialog.close() }, 'Close')
    dialog.replaceChildren(el('h2', { id: 'details-title' }, 'Request'), close, el('p', { class: 'soft' }, 'Reading the ledger …'))
    if (!dialog.open) dialog.showModal()
    try {
      const request = await read(`/api/request?id=${encodeURIComponent(id)}`)
      dialog.replaceChildren(...contents(request, traceUrl()), close)
    } catch (error) {
      dialog.querySelector('p').textContent = `${error.message}`
    }
    close.focus()
  }
  return {
    open: (id) => change({ id }, { state: opened }),
    /** As the view has it. */
    choose(before) {
      const { id } = current()
      if (id === '') dialog.close()
      else if (id !== before) show(id)
    },
  }
}

/** The state of an entry of the history that a click on a row made. */
const opened = 'opened'

function contents(request, traceUrl) {
  const [outcome, kind] = outcomeWords(request)
  return [
    el(
      'h2',
      { id: 'details-title' },
      name(request.request_model ?? request.response_model ?? request.path),
      ' ',
      el('span', { class: `tag ${kind}` }, outcome),
    ),
    el('p', { class: 'soft' }, `${clock(request.started_at)}, ${request.method} `, name(request.path)),
    el('h3', {}, 'Times'),
    line(request),
    el('h3', {}, 'Usage'),
    list([
      ['Input', count(request.input_tokens)],
      ['Output', count(request.output_tokens)],
      ['Cache read', count(request.cache_read_tokens)],
      ['Cache write', count(request.cache_write_tokens)],
      ['Reasoning', count(request.reasoning_tokens)],
      ['Cost', request.cost === null ? unknown('not known') : `${usd(request.cost)} (${request.cost_source})`],
      ['Saved by caching', request.cache_saved === null ? unknown('not known') : usd(request.cache_saved)],
      ['Output tokens per second', speed(request)],
      ...(request.estimated_output_tokens == null ? [] : [['Estimated output', number(request.estimated_output_tokens)]]),
      ['Usage', usageOf(request)],
    ]),
    el('h3', {}, 'Answer'),
    list([
      ['Provider', filterOf('provider', request.provider)],
      ['Requested model', filterOf('model', request.request_model)],
      ['Responding model', name(request.response_model)],
      ['Operation', name(request.operation)],
      ['Route', filterOf('route', request.route)],
      ['Caller', filterOf('caller', request.caller)],
      ['Labels', pairsOf(request.labels, (value) => value)],
      ['Limits on rate', pairsOf(request.rate_limits, limitText)],
      ['Upstream', name(`${request.server_address}:${request.server_port}`)],
      ['Status', request.status === null ? unknown('none was sent') : filterOf('status', String(request.status))],
      ['Ended', request.end_reason ?? 'still open'],
      [
        'Error',
        request.error_type === null ? 'none' : el('span', {}, filterOf('error', request.error_type), ' ', docLink('troubleshooting')),
      ],
      ['Finish reasons', words(request.finish_reasons)],
      ['Framing', [request.framing, request.format, request.content_encoding].filter((part) => part != null).join(', ') || unknown()],
      ['Bytes', `${bytes(request.request_bytes)} asked, ${bytes(request.response_bytes)} answered`],
      ['Notes', words(request.notes)],
    ]),
    el('h3', {}, 'Ids'),
    list([
      ['Trace', copied(traceOf(request.trace_id, traceUrl), 'the trace id', request.trace_id)],
      ['Span', code(request.span_id)],
      ['Request', copied(code(request.id), 'the request id', request.id)],
      ['Answer', request.response_id === null ? unknown() : code(request.response_id)],
    ]),
  ]
}

/** A value that is a link to all requests that have it. */
function filterOf(field, value) {
  if (value === null || value === '') return unknown()
  return viewLink({ where: withFilter(field, value), id: '' }, { class: 'filter' }, name(value))
}

function copied(shown, what, text) {
  return el(
    'span',
    {},
    shown,
    ' ',
    copyButton(what, () => text),
  )
}

function usageOf({ usage_outcome: outcome, usage_reason: reason }) {
  if (outcome === null) return el('span', {}, 'none is due ', docLink('zero-usage'))
  const why = reason ?? (outcome === 'zero' ? 'zero' : undefined)
  return el('span', {}, outcome, reason === null ? '' : `: ${reason}`, ' ', why === undefined ? '' : reasonLink(why))
}

/** A JSON object as `team search, feature rag`. */
function pairsOf(text, show) {
  const pairs = Object.entries(text == null ? {} : JSON.parse(text))
  return pairs.length === 0 ? unknown('none') : name(pairs.map(([key, value]) => `${key} ${show(value)}`).join(', '))
}

function limitText({ limit, remaining }) {
  if (remaining === undefined) return `of ${number(limit)}`
  return limit === undefined ? `${number(remaining)} left` : `${number(remaining)} of ${number(limit)} left`
}

function list(pairs) {
  return el('dl', { class: 'pairs' }, ...pairs.flatMap(([title, value]) => [el('dt', {}, title), el('dd', {}, value)]))
}

function count(value) {
  return value === null ? unknown() : number(value)
}

function code(text) {
  return el('code', {}, el('bdi', {}, text))
}

function words(json) {
  try {
    const found = JSON.parse(json ?? '[]')
    return found.length === 0 ? 'none' : name(found.join(', '))
  } catch {
    return name(json)
  }
}

function traceOf(id, template) {
  if (template === null || template === undefined) return code(id)
  return el('a', { href: template.replaceAll('{traceId}', encodeURIComponent(id)), target: '_blank', rel: 'noreferrer' }, code(id))
}

function speed({ time_per_output_token_ms: each }) {
  return each === null ? unknown('not measured') : `${(1000 / each).toFixed(1)} (${milliseconds(each)} each)`
}

/** Moments of a request: their columns, in milliseconds after it came, what the stretch up to them is called, and what is said of one that is not known. */
const moments = [
  ['request_sent_ms', 'send', 'Request sent', 'not recorded'],
  ['response_head_ms', 'wait', 'Response headers', 'not recorded'],
  ['time_to_first_chunk_ms', 'begin', 'First chunk', 'no chunk came'],
  ['duration_ms', 'flow', 'End', 'nobody saw it'],
]

function line(request) {
  if (request.duration_ms === null) return el('p', { class: 'soft' }, request.end_reason === null ? 'Still open.' : 'Nobody saw its end.')
  const bar = el('div', { class: 'times', 'aria-hidden': 'true' })
  const known = moments.filter(([column]) => request[column] !== null)
  let from = 0
  const pairs = moments.map(([column, kind, title, why]) => {
    const after = request[column]
    const look = after === null ? '' : column === 'duration_ms' ? lastKind(request) : kind
    const term = el('span', {}, el('span', { class: `stretch ${look}`, 'aria-hidden': 'true' }), title)
    if (after === null) return [term, unknown(why)]
    // An answer may begin, and end, before its request has been sent on whole.
    const to = Math.min(...known.slice(known.findIndex(([each]) => each === column)).map(([each]) => request[each]))
    const took = to - from
    if (took <= 0) return [term, milliseconds(after)]
    const stretch = el('span', { class: `stretch ${look}` })
    stretch.style.setProperty('--ms', String(took))
    bar.append(stretch)
    const later = from === 0 ? '' : el('span', { class: 'soft' }, ` ${milliseconds(took)} later`)
    from = to
    return [term, el('span', {}, milliseconds(after), later)]
  })
  return el('div', {}, bar, list(pairs))
}

/** The stretch up to the end is one of waiting where nothing came. */
function lastKind({ time_to_first_chunk_ms: first, response_head_ms: head }) {
  return first !== null ? 'flow' : head !== null ? 'begin' : 'wait'
}
