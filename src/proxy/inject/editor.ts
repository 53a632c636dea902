/** Usage injection: who is asked, what the answer loses again, and what is remembered of upstreams that refuse. */
import type { Edit, Editor } from '../edit.ts'
import { pickHeaders } from '../headers.ts'
import { askForUsage } from './ask.ts'
import type { Capabilities } from './capabilities.ts'
import { createStrip } from './strip.ts'

/**
 * OpenAI's chat and legacy completions, behind whatever prefix a gateway gives them: the only APIs that report usage in a stream only when
 * asked. Responses, Anthropic, Gemini and the others report it always.
 */
const asksAt = /\/(?:chat\/)?completions$/

const observed: ReadonlySet<string> = new Set(['content-type', 'content-encoding'])

/** Statuses with which upstreams refuse a field they do not know. */
const refusals: ReadonlySet<number> = new Set([400, 422])

export function createUsageInjector(capabilities: Capabilities): Editor {
  return {
    wants: ({ method, path, contentType, contentEncoding }) =>
      method === 'POST' &&
      asksAt.test(path) &&
      contentEncoding === undefined &&
      (contentType === undefined || /^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType)),
    edit(head, body) {
      const asked = askForUsage(body)
      if (asked === undefined) return undefined
      const key = `${head.origin}${head.path} ${asked.model}`
      return capabilities.of(key) === 'refused' ? undefined : editOf(asked.body, key, capabilities)
    },
  }
}

function editOf(body: Buffer, key: string, capabilities: Capabilities): Edit {
  return {
    body,
    judge(status) {
      if (status < 300) capabilities.learn(key, 'accepted')
      // An upstream that took it before refuses something else now: that answer is the client's.
      return refusals.has(status) && capabilities.of(key) !== 'accepted' ? 'again' : 'go on'
    },
    judgedAgain(status) {
      if (!refusals.has(status)) capabilities.learn(key, 'refused')
    },
    filter(rawHeaders) {
      const headers = pickHeaders(rawHeaders, observed)
      const isStream = /^\s*text\/event-stream\b/i.test(headers['content-type'] ?? '')
      const encoding = headers['content-encoding']
      return isStream && (encoding === undefined || encoding === 'identity') ? createStrip() : undefined
    },
  }
}
