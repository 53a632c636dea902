/** One request, whole: its times on a line, its usage, how it ended, where its trace is. */
import { outcomeWords } from './requests.js'
import { bytes, clock, el, milliseconds, name, number, unknown, usd } from './text.js'

export function createDetails({ read, traceUrl }) {
  const dialog = document.querySelector('#details')
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close()
  })

  async function open(id) {
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
  return { open }
}

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
      ['Output tokens per second', speed(request)],
      ...(request.estimated_output_tokens == null ? [] : [['Estimated output', number(request.estimated_output_tokens)]]),
      ['Usage', el('span', {}, request.usage_outcome ?? 'none is due', request.usage_reason === null ? '' : `: ${request.usage_reason}`)],
    ]),
    el('h3', {}, 'Answer'),
    list([
      ['Provider', name(request.provider)],
      ['Model asked for', name(request.request_model)],
      ['Model that answered', name(request.response_model)],
      ['Operation', name(request.operation)],
      ['Route', name(request.route)],
      ['Caller', name(request.caller)],
      ['Upstream', name(`${request.server_address}:${request.server_port}`)],
      ['Status', request.status === null ? unknown('none was sent') : String(request.status)],
      ['Ended', request.end_reason ?? 'still open'],
      ['Error', request.error_type === null ? 'none' : name(request.error_type)],
      ['Finish reasons', words(request.finish_reasons)],
      ['Framing', [request.framing, request.format, request.content_encoding].filter((part) => part != null).join(', ') || unknown()],
      ['Bytes', `${bytes(request.request_bytes)} asked, ${bytes(request.response_bytes)} answered`],
      ['Notes', words(request.notes)],
    ]),
    el('h3', {}, 'Ids'),
    list([
      ['Trace', traceOf(request.trace_id, traceUrl)],
      ['Span', code(request.span_id)],
      ['Request', code(request.id)],
      ['Answer', request.response_id === null ? unknown() : code(request.response_id)],
    ]),
  ]
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

function speed({ output_tokens: output, time_to_first_chunk_ms: first, duration_ms: whole, streamed }) {
  const took = whole - first
  return output === null || first === null || whole === null || streamed !== 1 || took <= 0
    ? unknown('not measured')
    : (output / (took / 1000)).toFixed(1)
}

/** From the request to the first chunk, from there to the end. */
function line({ time_to_first_chunk_ms: first, duration_ms: whole, end_reason: end }) {
  if (whole === null) return el('p', { class: 'soft' }, end === null ? 'Still open.' : 'When it ended, nobody saw.')
  const share = first === null ? 1 : Math.min(1, first / Math.max(whole, 0.001))
  const bar = el('div', { class: 'times', 'aria-hidden': 'true' }, el('span', { class: 'wait' }), el('span', { class: 'flow' }))
  bar.style.setProperty('--wait', share)
  return el(
    'div',
    {},
    bar,
    list([
      ['To the first chunk', first === null ? unknown('no chunk came') : milliseconds(first)],
      ['From there to the end', first === null ? unknown('no chunk came') : milliseconds(whole - first)],
      ['Altogether', milliseconds(whole)],
    ]),
  )
}
