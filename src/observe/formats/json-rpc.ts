/**
 * JSON-RPC 2.0: MCP and A2A. A tool call or a message between agents is no inference, whatever stands in its result.
 * Sources: https://modelcontextprotocol.io/specification (Streamable HTTP), https://a2a-protocol.org/latest/specification/
 */
import { array, at, type Json } from '../../lib/json.ts'
import type { Format } from './format.ts'
import { requestFacts } from './request.ts'

/** A request, a response or a batch of them. */
export function isJsonRpc(json: Json | undefined): boolean {
  return at(array(json)?.[0] ?? json, 'jsonrpc') === '2.0'
}

export const jsonRpc: Format = {
  name: 'json-rpc',
  provider: undefined,
  isCertain: true,
  isInference: false,
  wantedKeys: ['jsonrpc'],
  claims: (method, path) => method === 'POST' && /\/mcp\/?$/.test(path),
  recognises: (message) => isJsonRpc(message),
  readRequest: () => requestFacts({ operation: 'call_tool', usageExpected: false }),
  readResponse: (facts) => facts,
}
