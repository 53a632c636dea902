/**
 * What the table computes for an answer against what its provider said that it cost: over exchanges of our own, and over the corpora where they lie
 * beside the project. A cost that is wrong and called priced is worse than none.
 */
import { expect, it } from 'vitest'
import { heldCosts } from '../../scripts/prices/costs.ts'
import type { JsonObject } from '../../src/lib/json.ts'
import { corporaBeside, corpusRecordings } from '../recordings/corpus.ts'
import type { Recording } from '../recordings/recording.ts'

/** 2026-11-20 */
const created = 1_795_132_800

const recording = (host: string, path: string, answer: JsonObject, request: JsonObject = {}): Recording => ({
  name: `${host} ${path}`,
  method: 'POST',
  host,
  path,
  requestHeaders: { 'content-type': 'application/json' },
  requestBody: Buffer.from(JSON.stringify(request)),
  status: 200,
  responseHeaders: { 'content-type': 'application/json' },
  framing: 'whole',
  body: Buffer.from(JSON.stringify({ created, ...answer })),
})

const chat = (model: string, usage: JsonObject, more: JsonObject = {}): JsonObject => ({
  ...{ object: 'chat.completion', model, usage, ...more },
  choices: [{ index: 0, message: { role: 'assistant', content: 'x' }, finish_reason: 'stop' }],
})
const tokens = (input: number, output: number) => ({ prompt_tokens: input, completion_tokens: output, total_tokens: input + output })

/** By the providers' pages, computed by hand. */
const own: readonly Recording[] = [
  recording(
    'openrouter.ai',
    '/api/v1/chat/completions',
    chat('openai/gpt-4o-mini', { ...tokens(2000, 500), cost: 0.0006 }, { id: 'gen-1795132800-a', provider: 'OpenAI' }),
  ),
  recording('openrouter.ai', '/api/v1/embeddings', {
    ...{ id: 'gen-emb-1795132800-b', object: 'list', model: 'text-embedding-3-small', provider: 'OpenAI' },
    data: [{ object: 'embedding', index: 0, embedding: [0.1] }],
    usage: { prompt_tokens: 500, total_tokens: 500, cost: 0.00001 },
  }),
  recording('openrouter.ai', '/api/v1/responses', {
    ...{
      id: 'gen-1795132800-c',
      object: 'response',
      status: 'completed',
      model: 'openai/gpt-4o-mini',
      service_tier: 'provisioned',
      output: [],
    },
    usage: { input_tokens: 1000, output_tokens: 100, total_tokens: 1100, cost: 0.00021 },
  }),
  recording('api.perplexity.ai', '/chat/completions', chat('sonar-pro', { ...tokens(1000, 100), cost: { total_cost: 0.0105 } }), {
    model: 'sonar-pro',
  }),
  recording(
    'ai-gateway.vercel.sh',
    '/v1/chat/completions',
    chat('openai/gpt-4o', { ...tokens(1000, 100), cost: 0.0035, is_byok: false, market_cost: 0.0035 }),
  ),
  recording(
    'api.githubcopilot.com',
    '/chat/completions',
    chat('gpt-5.3-codex', tokens(1000, 100), { copilot_usage: { total_nano_aiu: 315_000_000 } }),
  ),
  recording(
    'gateway.internal',
    '/openai/chat/completions',
    chat('gpt-4o-2024-08-06', { ...tokens(1000, 100), pydantic_ai_gateway: { cost_estimate: 0.0035 } }),
  ),
]

it('the table computes what providers reported in exchanges of our own', async () => {
  const { all, text } = await heldCosts(own)
  expect(all.map(({ kind }) => kind)).toEqual(own.map(() => 'within 1 %'))
  expect(text).toBe('7 costs that providers reported: 7 within 1 % (100.0 %), 0 unpriced (0.0 %), 0 WRONG (0.0 %)\n')
})

it('the table computes what providers reported in recordings, or nothing', { timeout: 60_000 }, async () => {
  const recordings = corporaBeside().flatMap(corpusRecordings)
  const { shares, text } = await heldCosts(recordings.length === 0 ? own : recordings)
  process.stdout.write(text)
  expect(shares['within 1 %']).toBeGreaterThanOrEqual(0.85)
  expect(shares.WRONG).toBeLessThanOrEqual(0.01)
})

it('a cost that differs is shown as wrong', async () => {
  const answer = chat('gpt-4o-2024-08-06', { ...tokens(1000, 100), cost: 0.0036 })
  const { shares, text } = await heldCosts([recording('api.openai.com', '/v1/chat/completions', answer)])
  expect(shares).toEqual({ 'within 1 %': 0, unpriced: 0, WRONG: 1 })
  expect(text).toMatch(/^WRONG: .* reported 0.0036, computed 0.0035\n/)
})
