/**
 * Usage injection: who is asked, what the response loses again, and what is remembered of upstreams.
 *
 * An upstream's first streams at a path go as the client wrote them: they show whether usage comes unasked, and then nothing is ever injected or taken out.
 * An injected request that fails, in whatever way a definite answer can fail, is sent again as the client wrote it before anything of the answer has reached
 * the client. What was learnt is remembered by upstream, path and model.
 */
import type { BodyReader, Edit, Editor, FirstEvent, Probe, RequestHead } from '../edit.ts'
import { pickHeaders } from '../headers.ts'
import { askForUsage, createAskScan } from './ask.ts'
import type { Capabilities } from './capabilities.ts'
import { createStrip } from './strip.ts'
import { createUsageWatch, firstEvent } from './watch.ts'

/**
 * OpenAI's chat and legacy completions, behind whatever prefix a gateway gives them: the only APIs that report usage in a stream only when
 * asked. Responses, Anthropic, Gemini and the others report it always.
 */
const asksAt = /\/(?:chat\/)?completions$/
/** Documented to send usage only when asked: https://platform.openai.com/docs/api-reference/chat/create#chat-create-stream_options */
const silentHosts = /^https:\/\/(api\.openai\.com|[\w-]+\.openai\.azure\.com)$/

const observed: ReadonlySet<string> = new Set(['content-type', 'content-encoding'])
/** What is learnt is kept by the path; a longer one is nobody's. */
const pathLengthMax = 1024
/** Bytes that are held back until the first event is known. */
const heldBytesMax = 64 * 1024

export function createUsageInjector(capabilities: Capabilities): Editor {
  return {
    reads: (head) => (mayAsk(head) ? createReader(head, capabilities) : undefined),
  }
}

function mayAsk({ method, path, contentType, contentEncoding }: RequestHead): boolean {
  return (
    method === 'POST' &&
    path.length <= pathLengthMax &&
    asksAt.test(path) &&
    contentEncoding === undefined &&
    (contentType === undefined || /^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType))
  )
}

function createReader(head: RequestHead, capabilities: Capabilities): BodyReader {
  const scan = createAskScan()
  return {
    push(chunk) {
      scan.push(chunk)
      return !scan.isTooWide
    },
    edit(body) {
      const asked = askForUsage(body, scan)
      if (asked === undefined) return undefined
      const place = `${head.origin}${head.path}`
      const key = `${place} ${asked.model}`
      const known = capabilities.injection(key)
      const unasked = silentHosts.test(head.origin) ? false : capabilities.unasked(place)
      if (unasked === undefined) return probeOf(place, key, capabilities, true)
      if (unasked || known === 'refused' || known === 'suspect' || known === 'failing') return probeOf(place, key, capabilities, false)
      return editOf(asked.body, key, capabilities)
    },
  }
}

function streamOf(rawHeaders: readonly string[]): 'plain' | 'encoded' | undefined {
  const headers = pickHeaders(rawHeaders, observed)
  if (!/^\s*text\/event-stream\b/i.test(headers['content-type'] ?? '')) return undefined
  const encoding = headers['content-encoding']
  return encoding === undefined || encoding === 'identity' ? 'plain' : 'encoded'
}

const isPlainStream = (rawHeaders: readonly string[]) => streamOf(rawHeaders) === 'plain'

function editOf(body: readonly Buffer[], key: string, capabilities: Capabilities): Edit {
  return {
    body,
    judge: (status) => (status >= 400 ? 'again' : 'go on'),
    // A stream that was accepted before is not delayed.
    holds: (rawHeaders) => capabilities.injection(key) !== 'accepted' && isPlainStream(rawHeaders),
    first: (seen): FirstEvent => (seen.length > heldBytesMax ? 'fine' : firstEvent(seen)),
    accepted: () => capabilities.learn(key, 'accepted'),
    broken: () => capabilities.learn(key, 'suspect'),
    judgedAgain: (status) => capabilities.learn(key, status < 400 ? 'refused' : 'failing'),
    filter: (rawHeaders) => (isPlainStream(rawHeaders) ? createStrip() : undefined),
  }
}

function probeOf(place: string, key: string, capabilities: Capabilities, isForKnowledge: boolean): Probe {
  return {
    isForKnowledge,
    answered(status) {
      const known = capabilities.injection(key)
      if (status === undefined || status >= 400) {
        if (known === 'suspect') capabilities.learn(key, 'failing')
      } else if (known === 'suspect') {
        capabilities.learn(key, 'refused') // the plain request works: it was the injection
      } else if (known === 'failing') {
        capabilities.learn(key, undefined)
      }
    },
    watch(rawHeaders) {
      const kind = streamOf(rawHeaders)
      if (kind === 'plain') return createUsageWatch((hasUsage) => capabilities.saw(place, hasUsage))
      // It is compressed although that was not asked for: usage could not be taken out of it again, so it is left alone.
      if (kind === 'encoded' && isForKnowledge) capabilities.saw(place, true)
      return undefined
    },
  }
}
