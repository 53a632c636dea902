import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { CopyBudget } from '../../src/observe/collected.ts'
import { tokenIn } from '../../src/observe/first-token.ts'
import { ResponseReader } from '../../src/observe/response.ts'
import { opening } from '../formats/exchanges.ts'

const found = (text: string, format?: string) => tokenIn(Buffer.from(text), format)
const base64 = (event: unknown) => JSON.stringify({ bytes: Buffer.from(JSON.stringify(event)).toString('base64') })

describe('a token is', () => {
  it.each([
    ['OpenAI chat', 'data: {"choices":[{"delta":{"content":"Hi"}}]}', 'answer'],
    ['OpenAI chat, of a tool', '{"delta":{"tool_calls":[{"function":{"arguments":"{\\""}}]}}', 'answer'],
    ['legacy completions', 'data: {"choices":[{"text":"Hi"}]}', 'answer'],
    ['DeepSeek', 'data: {"choices":[{"delta":{"content":null,"reasoning_content":"Hm"}}]}', 'reasoning'],
    ['Anthropic', 'data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"Hi"}}', 'answer'],
    ['Anthropic, of a tool', '{"delta":{"type":"input_json_delta","partial_json":"{\\"a"}}', 'answer'],
    [
      'Anthropic, the start of thinking that is not shown',
      '{"type":"content_block_start","content_block":{"type":"thinking","thinking":""}}',
      'reasoning',
    ],
    ['Gemini', 'data: {"candidates":[{"content":{"parts":[{"text": "Hi"}],"role":"model"}}]}', 'answer'],
    ['Gemini, of a tool', '{"parts":[{"functionCall": {"name":"f","args":{}}}]}', 'answer'],
    ['Ollama', '{"message":{"role":"assistant","content":"Hi"},"done":false}\n', 'answer'],
    ['Ollama, legacy', '{"model":"m","response":"Hi"}\n', 'answer'],
    ['Bedrock, in base64', base64({ type: 'content_block_delta', delta: { text: 'Hi' } }), 'answer'],
  ] as const)('%s', (_, text, of) => {
    expect(found(text)).toBe(of)
  })

  it.each(['output_text', 'function_call_arguments', 'refusal'])('of the Responses, %s', (name) => {
    expect(found(`event: x\ndata: {"type":"response.${name}.delta","delta":"a"}`, 'openai-responses')).toBe('answer')
  })

  it('of the Responses, reasoning that is shown whole', () => {
    expect(found('data: {"type":"response.reasoning_text.delta","delta":"a"}', 'openai-responses')).toBe('reasoning')
  })
})

describe('no token is', () => {
  it.each([
    ['the role', 'data: {"choices":[{"delta":{"role":"assistant","content":"","refusal":null}}]}'],
    ['the beginning of a message', 'data: {"type":"message_start","message":{"id":"m","content":[],"usage":{"output_tokens":1}}}'],
    ['the beginning of a text', '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'],
    ['a heartbeat', ': OPENROUTER PROCESSING\n\n'],
    ['what a filter says of the prompt', '{"choices":[],"prompt_filter_results":[{"content_filter_results":{"hate":{"filtered":false}}}]}'],
    ['a summary of thoughts', '{"parts":[{"text":"**Plan**","thought": true}]}'],
    ['a summary of reasoning', '{"delta":{"content":"","reasoning":"**Plan**","reasoning_details":[{"type":"reasoning.summary"}]}}'],
    ['what begins a message of Bedrock', base64({ type: 'message_start', message: {} })],
  ])('%s', (_, text) => {
    expect(found(text)).toBeUndefined()
  })

  it.each([
    [
      'the request, said again',
      '{"type":"response.created","response":{"instructions":"Be kind","output":[],"tools":[{"description":"d"}]}}',
    ],
    ['a summary', '{"type":"response.reasoning_summary_text.delta","delta":"**Plan**"}'],
    ['the beginning of an item', '{"type":"response.output_item.added","item":{"type":"message","content":[]}}'],
  ])('of the Responses, %s', (_, text) => {
    expect(found(text, 'openai-responses')).toBeUndefined()
  })
})

const role = 'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
const text = 'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'

function reader(headers: Readonly<Record<string, string>> = {}): ResponseReader {
  const options = { bodyBytesMax: 1 << 20, messageBytesMax: 1 << 20, copies: new CopyBudget(1 << 20), estimates: false }
  return new ResponseReader(opening(), 200, { 'content-type': 'text/event-stream', ...headers }, options, new Set())
}

describe('the moment of the first token', () => {
  it('is that of the first chunk that holds one', async () => {
    const plain = reader()
    const seen = [role, text, text].map((chunk, index) => {
      plain.push(Buffer.from(chunk), 100 + index * 10)
      return plain.firstToken(50)
    })
    expect(seen).toEqual([undefined, { ms: 60, of: 'answer' }, { ms: 60, of: 'answer' }])
  })

  it('is known of a compressed stream', async () => {
    const compressed = reader({ 'content-encoding': 'gzip' })
    compressed.push(gzipSync(role + text), 100)
    await new Promise<void>((resolve) => compressed.end(resolve))
    expect(compressed.firstToken(50)).toEqual({ ms: 50, of: 'answer' })
  })

  it('is not known of a body that is no stream', () => {
    const whole = reader({ 'content-type': 'application/json' })
    whole.push(Buffer.from('{"choices":[{"message":{"content":"Hi"}}]}'), 100)
    expect(whole.firstToken(50)).toBeUndefined()
  })
})
