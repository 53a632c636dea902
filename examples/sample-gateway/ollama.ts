/** Ollama's own chat, as it answers on port 11434: a JSON object a line, the last with the counts. It streams unless told not to. */
import type { Usage } from '../../src/lib/exchange.ts'
import { at, type JsonObject } from '../../src/lib/json.ts'
import { type Incoming, jsonScript, type Piece, type Script, streamScript, tellsUsage, textAt, understand } from './script.ts'

const failed = (status: number): Script =>
  jsonScript(undefined, undefined, { error: status === 404 ? 'model not found, try pulling it first' : 'server busy' }, { status })

export function ollamaChat(incoming: Incoming): Script {
  const { body } = incoming
  const asked = understand(incoming, {
    model: textAt(body, 'model'),
    streamed: at(body, 'stream') !== false,
    prompt: at(body, 'messages'),
    maxTokens: at(body, 'options', 'num_predict'),
  })
  const { behaviour, counts, words, model } = asked
  if (behaviour.kind === 'error') return failed(behaviour.status)
  if (behaviour.kind === 'broken' && !asked.streamed) return failed(500)
  const created_at = new Date(asked.now * 1000).toISOString()
  const told = tellsUsage(asked)
  const usage: Usage | undefined = told ? { inputTokens: counts.input, outputTokens: counts.output } : undefined
  const last = {
    done: true,
    done_reason: counts.limited ? 'length' : 'stop',
    total_duration: 4_883_583_458,
    load_duration: 1_334_875,
    ...(told
      ? { prompt_eval_count: counts.input, prompt_eval_duration: 342_546_000, eval_count: counts.output, eval_duration: 4_535_599_000 }
      : {}),
  }
  const message = (content: string) => ({ model, created_at, message: { role: 'assistant', content } })
  if (!asked.streamed) return jsonScript(asked, undefined, { ...message(words.join('')), ...last }, { usage })
  const line = (data: JsonObject, known?: Usage): Piece => ({ text: `${JSON.stringify(data)}\n`, usage: known })
  const pieces = [...words.map((word) => line({ ...message(word), done: false })), line({ ...message(''), ...last }, usage)]
  return streamScript(asked, undefined, pieces, [line({ error: 'an error was encountered while running the model' })], {
    'content-type': 'application/x-ndjson',
  })
}
