/** The operator's own attribution rules: they stand below a route's explicit provider and above the built-in table. */
import type { OwnRule } from '../../config/config.ts'
import { wildcard } from '../../lib/wildcard.ts'
import type { Evidence } from './evidence.ts'

/** Whether a rule holds for some evidence. */
export function ownRuleMatcher({ when }: OwnRule): (evidence: Evidence) => boolean {
  const tests: ((evidence: Evidence) => boolean)[] = []
  const { header, host, path, model } = when
  if (host !== undefined) {
    const matches = wildcard(host.toLowerCase())
    tests.push((evidence) => matches(evidence.host.toLowerCase()))
  }
  if (path !== undefined) {
    const matches = wildcard(path)
    tests.push((evidence) => matches(evidence.path))
  }
  if (model !== undefined) {
    const matches = wildcard(model)
    tests.push(({ requestModel, responseModel }) => {
      const found = requestModel ?? responseModel
      return found !== undefined && matches(found)
    })
  }
  if (header !== undefined) {
    const name = header.name.toLowerCase()
    const matches = wildcard(header.value ?? '*')
    tests.push(({ requestHeaders, responseHeaders }) => {
      const found = responseHeaders[name] ?? requestHeaders[name]
      return found !== undefined && matches(found)
    })
  }
  return (evidence) => tests.length > 0 && tests.every((test) => test(evidence))
}
