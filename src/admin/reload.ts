/** `POST /api/reload`: reads the configuration again. The proxying thread answers it, also while the recorder is blocked. */
import type { IncomingMessage } from 'node:http'
import type { ReloadAnswer } from '../config/reload.ts'
import { type Access, crossSiteSentence, refusalOf } from './access.ts'
import { type AdminRoute, jsonAnswer, refusal } from './server.ts'

/** `access` is this route's own, so wrong tokens are counted apart from those that the page is sent. */
export function reloadRoute(access: Access, reload: () => Promise<ReloadAnswer>): AdminRoute {
  return {
    path: '/api/reload',
    method: 'POST',
    async answer(request) {
      if (isOfAnotherSite(request)) return refusal(403, crossSiteSentence)
      const refused = refusalOf(access.judge(request).verdict)
      if (refused !== undefined) return refused
      const answer = await reload()
      return jsonAnswer(answer.result === 'refused' ? 422 : 200, answer)
    },
  }
}

/** A form of another site can be sent here by a navigation, which reading is allowed to. Browsers from before Sec-Fetch-Site send Origin. */
function isOfAnotherSite({ headers }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site']
  return site === undefined ? headers.origin !== undefined : site !== 'same-origin'
}
