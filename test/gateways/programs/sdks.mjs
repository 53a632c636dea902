/** Each library asks once; prints one JSON line: what came back and what the library says was used. */
const url = process.env.WEIR
const prompt = 'How much water went through the gate?'

const libraries = {
  async 'ai-chat'() {
    const { createOpenAI } = await import('@ai-sdk/openai')
    const { streamText } = await import('ai')
    const answer = streamText({ model: createOpenAI({ baseURL: `${url}/v1` }).chat('gpt-4o'), prompt })
    const [text, usage] = [await answer.text, await answer.usage]
    return { text, input: usage.inputTokens, output: usage.outputTokens }
  },
  async 'ai-responses'() {
    const { createOpenAI } = await import('@ai-sdk/openai')
    const { generateText } = await import('ai')
    const { text, usage } = await generateText({ model: createOpenAI({ baseURL: `${url}/v1` })('gpt-4o'), prompt })
    return { text, input: usage.inputTokens, output: usage.outputTokens }
  },
  async langchain() {
    const { ChatOpenAI } = await import('@langchain/openai')
    const answer = await new ChatOpenAI({ model: 'gpt-4o', configuration: { baseURL: `${url}/v1` } }).invoke(prompt)
    return { text: answer.text, input: answer.usage_metadata.input_tokens, output: answer.usage_metadata.output_tokens }
  },
}

process.stdout.write(`${JSON.stringify(await libraries[process.env.LIBRARY]())}\n`)
