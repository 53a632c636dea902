/** The providers' own clients through the running product: what they say they used is what the ledger has. */
import Anthropic from '@anthropic-ai/sdk'
import { GoogleGenAI } from '@google/genai'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type SampleGateway, startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { type LedgerRow, type Product, startProduct } from './product.ts'

let gateway: SampleGateway
let product: Product
beforeAll(async () => {
  gateway = await startSampleGateway()
  product = await startProduct({ upstream: gateway.url })
})
afterAll(async () => {
  expect(await product.stop()).toBe(0)
  await gateway.close()
})

const openai = () => new OpenAI({ baseURL: `${product.url}/v1`, apiKey: 'test', maxRetries: 0 })
const anthropic = () => new Anthropic({ baseURL: product.url, apiKey: 'test', maxRetries: 0 })
const google = () => new GoogleGenAI({ apiKey: 'test', httpOptions: { baseUrl: product.url, retryOptions: { attempts: 1 } } })

const messages = [{ role: 'user' as const, content: 'How much water went through the gate?' }]

const columns = [
  'provider',
  'format',
  'operation',
  'request_model',
  'response_model',
  'response_id',
  'status',
  'streamed',
  'input_tokens',
  'output_tokens',
  'cache_read_tokens',
  'cache_write_tokens',
  'reasoning_tokens',
  'total_tokens',
  'usage_outcome',
  'usage_reason',
  'end_reason',
  'error_type',
]

/** Runs one request, and gives the one row that it left, without columns that differ from run to run. */
async function rowOf(request: () => Promise<unknown>): Promise<LedgerRow> {
  const before = (await product.closedRows(0)).length
  await request()
  const rows = await product.closedRows(before + 1)
  expect(rows.length).toBe(before + 1)
  const row = rows.at(-1)
  return Object.fromEntries(columns.map((name) => [name, row?.[name] ?? null]))
}

const answered = { status: 200, usage_outcome: 'reported', usage_reason: null, end_reason: 'completed', error_type: null }

describe('the openai client', () => {
  const chatRow = (id: string | undefined, usage: OpenAI.CompletionUsage | undefined, streamed: boolean) => ({
    ...answered,
    provider: 'openai',
    format: 'openai-chat',
    operation: 'chat',
    request_model: 'gpt-4o',
    response_model: 'gpt-4o-2026-03-11',
    response_id: id,
    streamed: Number(streamed),
    input_tokens: usage?.prompt_tokens,
    output_tokens: usage?.completion_tokens,
    cache_read_tokens: usage?.prompt_tokens_details?.cached_tokens,
    cache_write_tokens: null,
    reasoning_tokens: usage?.completion_tokens_details?.reasoning_tokens,
    total_tokens: usage?.total_tokens,
  })

  it('completes a chat', async () => {
    let answer: OpenAI.ChatCompletion | undefined
    const row = await rowOf(async () => {
      answer = await openai().chat.completions.create({ model: 'gpt-4o', messages })
    })
    expect(row).toEqual(chatRow(answer?.id, answer?.usage, false))
  })

  it('streams a chat', async () => {
    const chunks: OpenAI.ChatCompletionChunk[] = []
    const row = await rowOf(async () => {
      const stream = await openai().chat.completions.create({
        model: 'gpt-4o',
        messages,
        stream: true,
        stream_options: { include_usage: true },
      })
      for await (const chunk of stream) chunks.push(chunk)
    })
    const last = chunks.at(-1)
    expect(row).toEqual(chatRow(last?.id, last?.usage ?? undefined, true))
    expect(last?.usage?.total_tokens).toBe(gateway.sent.at(-1)?.usage?.totalTokens)
  })

  it('streams a legacy completion', async () => {
    let usage: OpenAI.CompletionUsage | undefined
    const row = await rowOf(async () => {
      const stream = await openai().completions.create({
        model: 'gpt-3.5-turbo-instruct',
        prompt: 'Once',
        stream: true,
        stream_options: { include_usage: true },
      })
      for await (const chunk of stream) usage = chunk.usage ?? usage
    })
    expect(row).toEqual(
      expect.objectContaining({
        ...answered,
        operation: 'text_completion',
        streamed: 1,
        input_tokens: usage?.prompt_tokens,
        output_tokens: usage?.completion_tokens,
      }),
    )
  })

  it('embeds', async () => {
    let usage: OpenAI.CreateEmbeddingResponse.Usage | undefined
    const row = await rowOf(async () => {
      usage = (await openai().embeddings.create({ model: 'text-embedding-3-small', input: 'a' })).usage
    })
    expect(row).toEqual(
      expect.objectContaining({
        ...answered,
        operation: 'embeddings',
        streamed: 0,
        input_tokens: usage?.prompt_tokens,
        output_tokens: null,
      }),
    )
  })

  const responseRow = (response: OpenAI.Responses.Response | undefined, streamed: boolean) =>
    expect.objectContaining({
      ...answered,
      provider: 'openai',
      operation: 'chat',
      request_model: 'gpt-5',
      response_id: response?.id,
      streamed: Number(streamed),
      input_tokens: response?.usage?.input_tokens,
      output_tokens: response?.usage?.output_tokens,
      cache_read_tokens: response?.usage?.input_tokens_details.cached_tokens,
      reasoning_tokens: response?.usage?.output_tokens_details.reasoning_tokens,
      total_tokens: response?.usage?.total_tokens,
    })

  it('creates a response', async () => {
    let response: OpenAI.Responses.Response | undefined
    const row = await rowOf(async () => {
      response = await openai().responses.create({ model: 'gpt-5', input: 'How much?' })
    })
    expect(row).toEqual(responseRow(response, false))
  })

  it('streams a response', async () => {
    let response: OpenAI.Responses.Response | undefined
    const row = await rowOf(async () => {
      response = await openai().responses.stream({ model: 'gpt-5', input: 'How much?' }).finalResponse()
    })
    expect(row).toEqual(responseRow(response, true))
  })

  it('gets the error of the provider', async () => {
    const row = await rowOf(async () => {
      await expect(openai().chat.completions.create({ model: 'error-429', messages })).rejects.toThrow(OpenAI.RateLimitError)
    })
    expect(row).toEqual(
      expect.objectContaining({ status: 429, error_type: '429', end_reason: 'completed', input_tokens: null, output_tokens: null }),
    )
  })
})

describe('the anthropic client', () => {
  const request = { model: 'claude-sonnet-5-5', max_tokens: 500, messages }

  const messageRow = (message: Anthropic.Message | undefined, streamed: boolean) => {
    const usage = message?.usage
    const input = (usage?.input_tokens ?? 0) + (usage?.cache_read_input_tokens ?? 0) + (usage?.cache_creation_input_tokens ?? 0)
    return {
      ...answered,
      provider: 'anthropic',
      format: 'anthropic-messages',
      operation: 'chat',
      request_model: 'claude-sonnet-5-5',
      response_model: 'claude-sonnet-5-5',
      response_id: message?.id,
      streamed: Number(streamed),
      input_tokens: input,
      output_tokens: usage?.output_tokens,
      cache_read_tokens: usage?.cache_read_input_tokens,
      cache_write_tokens: usage?.cache_creation_input_tokens,
      reasoning_tokens: null,
      total_tokens: null,
    }
  }

  it('creates a message', async () => {
    let message: Anthropic.Message | undefined
    const row = await rowOf(async () => {
      message = await anthropic().messages.create(request)
    })
    expect(row).toEqual(messageRow(message, false))
  })

  it('streams a message', async () => {
    let message: Anthropic.Message | undefined
    const row = await rowOf(async () => {
      message = await anthropic().messages.stream(request).finalMessage()
    })
    expect(row).toEqual(messageRow(message, true))
    expect(message?.usage.output_tokens).toBe(gateway.sent.at(-1)?.usage?.outputTokens)
  })
})

describe('the google client', () => {
  const request = { model: 'gemini-2.5-flash', contents: 'How much?' }
  type Answer = {
    responseId?: string
    usageMetadata?: { [key in 'promptTokenCount' | 'candidatesTokenCount' | 'thoughtsTokenCount' | 'totalTokenCount']?: number }
  }

  const contentRow = (answer: Answer | undefined, streamed: boolean) => {
    const usage = answer?.usageMetadata
    return expect.objectContaining({
      ...answered,
      operation: 'generate_content',
      request_model: 'gemini-2.5-flash',
      response_model: 'gemini-2.5-flash',
      response_id: answer?.responseId,
      streamed: Number(streamed),
      input_tokens: usage?.promptTokenCount,
      output_tokens: (usage?.candidatesTokenCount ?? 0) + (usage?.thoughtsTokenCount ?? 0),
      reasoning_tokens: usage?.thoughtsTokenCount ?? null,
      total_tokens: usage?.totalTokenCount,
    })
  }

  it('generates content', async () => {
    let answer: Answer | undefined
    const row = await rowOf(async () => {
      answer = await google().models.generateContent(request)
    })
    expect(row).toEqual(contentRow(answer, false))
  })

  it('streams content', async () => {
    let last: Answer | undefined
    const row = await rowOf(async () => {
      for await (const chunk of await google().models.generateContentStream(request)) last = chunk
    })
    expect(row).toEqual(contentRow(last, true))
    expect(last?.usageMetadata?.totalTokenCount).toBe(gateway.sent.at(-1)?.usage?.totalTokens)
  })
})
