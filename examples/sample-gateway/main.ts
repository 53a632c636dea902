/** Runs the sample gateway until it is stopped: `node examples/sample-gateway/main.js --port 8000`. */
import { parseArgs } from 'node:util'
import { startSampleGateway } from './gateway.ts'

const help = `Usage: node examples/sample-gateway/main.js [options]

A sample LLM gateway: OpenAI chat, completions, responses, realtime and embeddings, Anthropic messages, Gemini generateContent,
Bedrock converse, Cohere chat v2, Ollama chat.

Options:
  --host <address>     where to listen (default 127.0.0.1)
  --port <number>      default 8000; 0 lets the system choose
  --event-ms <number>  milliseconds between two events of a stream (default 20)
  --no-gzip            never compress
  --help               print this help

Models named after a fault have it: silent-1 (no usage), zero-1, cut-1, broken-1, strict-1, error-429.

Try:
  curl -N http://127.0.0.1:8000/v1/chat/completions -d '{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}'
`

function wholeNumber(name: string, text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text)
  process.stderr.write(`sample-gateway: --${name} ${JSON.stringify(text)} is not a whole number. See --help.\n`)
  process.exit(2)
}

function readOptions() {
  try {
    return parseArgs({
      allowNegative: true,
      options: {
        host: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: '8000' },
        'event-ms': { type: 'string', default: '20' },
        gzip: { type: 'boolean', default: true },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    process.stderr.write(`sample-gateway: ${(error as Error).message}. See --help.\n`)
    process.exit(2)
  }
}

const values = readOptions()
if (values.help) {
  process.stdout.write(help)
} else {
  const port = wholeNumber('port', values.port)
  const { host, gzip } = values
  const gateway = await startSampleGateway({ host, port, eventMs: wholeNumber('event-ms', values['event-ms']), gzip }).catch((error) => {
    process.stderr.write(`sample-gateway: ${error.message}\n`)
    process.exit(1)
  })
  process.stdout.write(`The sample gateway listens on ${gateway.url}\n`)
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void gateway.close())
}
