/**
 * Errors that are told inside an answer of status 200, by APIs that put a status code of their own into every body. 0 (and 200) is success.
 * MiniMax `base_resp`, Qianfan `error_code`, Spark `header.code`, DashScope, Coze and Baichuan `code`, Tencent `Response.Error`, Cloudflare
 * `success`, OpenRouter a choice's `error`.
 */
import type { ResponseFacts } from '../../lib/exchange.ts'
import { array, at, type Json, type JsonObject, object, text } from '../../lib/json.ts'

interface Told {
  readonly code: Json | undefined
  readonly message: Json | undefined
}

const places: readonly ((body: JsonObject) => Told)[] = [
  (body) => ({ code: at(body, 'base_resp', 'status_code'), message: at(body, 'base_resp', 'status_msg') }),
  (body) => ({ code: body['error_code'], message: body['error_msg'] ?? body['error_message'] }),
  (body) => ({ code: at(body, 'header', 'code'), message: at(body, 'header', 'message') }),
  (body) => ({ code: at(body, 'Response', 'Error', 'Code'), message: at(body, 'Response', 'Error', 'Message') }),
  (body) => ({ code: at(body, 'ErrorMsg', 'Code'), message: at(body, 'ErrorMsg', 'Msg') }),
  (body) => ({ code: at(body, 'Error', 'Code'), message: at(body, 'Error', 'Message') }),
  (body) => ({ code: at(body, 'last_error', 'code'), message: at(body, 'last_error', 'msg') ?? at(body, 'last_error', 'message') }),
  (body) =>
    body['success'] === false ? { code: at(array(body['errors'])?.[0], 'code'), message: at(array(body['errors'])?.[0], 'message') } : none,
  plainCode,
  choiceError,
]

const none: Told = { code: undefined, message: undefined }

/** `{code, message}` around nothing else that answers: elsewhere a `code` may be anything, such as what a tool has written. */
function plainCode(body: JsonObject): Told {
  const message = body['message'] ?? body['msg'] ?? body['error_msg']
  const answers = ['choices', 'usage', 'content', 'candidates', 'type'].some((key) => body[key] !== undefined && body[key] !== null)
  return answers || text(message) === undefined ? none : { code: body['code'], message }
}

/** A choice that failed, alone among others or not. */
function choiceError(body: JsonObject): Told {
  for (const choice of array(body['choices']) ?? []) {
    const error = object(at(choice, 'error'))
    if (error !== undefined) return { code: error['code'] ?? error['type'] ?? 'error', message: error['message'] }
    if (at(choice, 'finish_reason') === 'error') return { code: 'error', message: undefined }
  }
  return none
}

/** The code as a text; undefined where it says that all is well. */
function failure(code: Json | undefined): string | undefined {
  if (typeof code === 'number') return code === 0 || code === 200 ? undefined : String(code)
  const name = text(code)
  return name === undefined || /^(0+|200|ok|success)$/i.test(name) ? undefined : name
}

/** What the body says that went wrong. `isKnown` is false for a body of no known format, where a plain `code` may mean anything. */
export function toldError(body: JsonObject, isKnown = true): ResponseFacts['error'] {
  for (const place of places) {
    if (place === plainCode && !isKnown) continue
    const { code, message } = place(body)
    const type = failure(code)
    if (type !== undefined) return { type, message: text(message) }
  }
  return undefined
}
