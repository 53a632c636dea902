/** Whether upstreams answer, and whether the settings in effect are those of the file: by `/readyz`, whatever its status is. */
import { clock, el, milliseconds, name, number } from './text.js'

const card = /** @type {HTMLElement} */ (document.querySelector('#upstreams'))
const list = document.querySelector('#upstreams-list')
const settings = /** @type {HTMLElement} */ (document.querySelector('#settings'))

export async function showUpstreams() {
  const { upstreams = [], configuration } = await (await fetch('/readyz')).json()
  card.hidden = upstreams.length === 0
  list.replaceChildren(...upstreams.flatMap((one) => [el('dt', {}, name(one.upstream)), el('dd', {}, ...health(one))]))
  showSettings(configuration)
}

function health({ lastSuccess, lastFailure, failures, connect, probe }) {
  const isFailing = lastFailure !== undefined && !(lastSuccess > lastFailure.at)
  const [kind, word] = isFailing ? ['bad', 'fails'] : lastSuccess === undefined ? ['soft', 'not asked yet'] : ['good', 'answers']
  const counts = Object.entries(failures).map(([reason, count]) => `${number(count)} ${reason}`)
  const parts = [
    lastSuccess && `last success ${at(lastSuccess)}`,
    lastFailure && `failures: ${counts.join(', ')}, the last ${at(lastFailure.at)} (${lastFailure.reason})`,
    connect && `connects in ${milliseconds(connect.meanMs)}`,
    probe && `probe ${at(probe.at)}: ${probe.result}`,
  ]
  return [el('span', { class: `tag ${kind}` }, word), ` ${parts.filter(Boolean).join(' · ')}`]
}

function showSettings({ ok = true, problems = [], needsRestart = [] } = {}) {
  settings.hidden = ok && needsRestart.length === 0
  settings.replaceChildren(
    ...(ok ? [] : [el('strong', {}, 'The settings could not be read again; the old ones stay in effect. '), problems.join(' '), ' ']),
    needsRestart.length === 0 ? '' : `Needs a restart: ${needsRestart.join(', ')}.`,
  )
}

const at = (iso) => clock(Date.parse(iso))
