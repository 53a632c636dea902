/**
 * Every wire format, in the order in which they are asked: the ones with the more telling paths and shapes first.
 *
 * Operations they name, from the GenAI conventions: chat, text_completion, generate_content, embeddings, invoke_agent. Of our own: rerank,
 * classify, image_generation, video_generation, transcription, translation, speech, moderation, ocr, count_tokens, list_models,
 * fetch_response, create_conversation; and unknown, for a stream that no format recognises or an answer of which only the usage is.
 */
import { alephalpha } from './alephalpha.ts'
import { anthropicComplete } from './anthropic-complete.ts'
import { anthropicMessages } from './anthropic-messages.ts'
import { bedrockAgent } from './bedrock-agent.ts'
import { bedrockConverse } from './bedrock-converse.ts'
import { bedrockInvoke, tokenCountHeaders } from './bedrock-invoke.ts'
import { cohereChatV1, cohereChatV2 } from './cohere-chat.ts'
import { cohereEmbed, cohereGenerate } from './cohere-other.ts'
import { dashscope } from './dashscope.ts'
import type { Format } from './format.ts'
import { gemini } from './gemini.ts'
import { geminiEmbed } from './gemini-embed.ts'
import { geminiInteractions } from './gemini-interactions.ts'
import { geminiLive } from './gemini-live.ts'
import { jsonRpc } from './json-rpc.ts'
import { mistralConversations, mistralOcr } from './mistral-other.ts'
import { ollama } from './ollama.ts'
import { openaiAssistants } from './openai-assistants.ts'
import { openaiAudio } from './openai-audio.ts'
import { openaiChat } from './openai-chat.ts'
import { openaiCompletions } from './openai-completions.ts'
import { openaiEmbeddings } from './openai-embeddings.ts'
import { openaiImages, openaiVideos } from './openai-images.ts'
import { openaiModerations } from './openai-moderations.ts'
import { openaiOther } from './openai-other.ts'
import { openaiRealtime } from './openai-realtime.ts'
import { openaiResponses } from './openai-responses.ts'
import { replicate } from './replicate.ts'
import { costHeader } from './reported-cost.ts'
import { rerank } from './rerank.ts'
import { spokenFormats } from './spoken.ts'
import { tgi } from './tgi.ts'
import { usageVocabulary } from './usage-vocabulary.ts'
import { vercelAi } from './vercel-ai.ts'
import { vertexPredict } from './vertex-predict.ts'
import { watsonx, watsonxChat, watsonxEmbeddings } from './watsonx.ts'
import { countTokens, models, storedResponses } from './without-usage.ts'

export const formats: readonly Format[] = [
  jsonRpc,
  countTokens,
  anthropicMessages,
  openaiResponses,
  gemini,
  geminiEmbed,
  geminiInteractions,
  geminiLive,
  vertexPredict,
  bedrockConverse,
  bedrockInvoke,
  bedrockAgent,
  ollama,
  watsonx,
  watsonxChat,
  watsonxEmbeddings,
  dashscope,
  vercelAi,
  ...spokenFormats,
  tgi,
  cohereChatV2,
  cohereChatV1,
  cohereEmbed,
  cohereGenerate,
  rerank,
  anthropicComplete,
  alephalpha,
  replicate,
  mistralConversations,
  mistralOcr,
  openaiChat,
  openaiCompletions,
  openaiEmbeddings,
  openaiImages,
  openaiVideos,
  openaiAudio,
  openaiModerations,
  openaiAssistants,
  openaiRealtime,
  storedResponses,
  models,
  openaiOther,
]

/** Paths repeat. So many are remembered before all are forgotten: those with an id in them come once. */
const pathsMax = 1024
const known = new Map<string, readonly Format[]>()

/**
 * The formats spoken at a path (without query), in the order of `formats`. Several may claim one path; then the first that recognises a
 * message is it. None means that only an answer to a POST can tell, by its shape.
 */
export function formatsFor(method: string, path: string): readonly Format[] {
  const key = `${method} ${path}`
  let found = known.get(key)
  if (found === undefined) {
    found = formats.filter((format) => format.claims(method, path))
    if (known.size >= pathsMax) known.clear()
    known.set(key, found)
  }
  return found
}

export function formatNamed(name: string | undefined): Format | undefined {
  if (name === usageVocabulary.name) return usageVocabulary
  return name === undefined ? undefined : formats.find((format) => format.name === name)
}

/** Response headers that some format's `readHead` reads, lower-case. */
export const headersReadByFormats: readonly string[] = [...Object.values(tokenCountHeaders), 'x-amzn-sagemaker-content-type', costHeader]
