/** In place of `src/cli/demo/parts.ts` in the single-file program, which has the sample gateway inside. */
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { send } from '../../examples/sample-gateway/send.ts'
import { faultyRequests, goodRequests } from '../../examples/sample-gateway/traffic.ts'
import type { Parts } from '../../src/cli/demo/parts.ts'

export async function loadParts(): Promise<Parts> {
  return { startSampleGateway, send, requests: { good: goodRequests, faulty: faultyRequests } }
}
