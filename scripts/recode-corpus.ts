/**
 * Writes a copy of a corpus of recorded exchanges in which every answer is compressed, for the acceptance replay to grade:
 *
 *   node scripts/recode-corpus.ts --corpus DIR --coding gzip|br|zstd|deflate --out DIR
 *
 * Answers that were recorded compressed are decoded first. Streams are flushed event by event, as a server does that does not want its
 * clients to wait; whole bodies are compressed at once.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { type CorpusFile, corpusRows, decodedBody } from '../test/recordings/corpus.ts'
import { codings, flushed, type StreamCoding, streamCodings } from '../test/recordings/encodings.ts'

const { values } = parseArgs({ options: { corpus: { type: 'string' }, coding: { type: 'string' }, out: { type: 'string' } } })
const { corpus, out } = values
const coding = streamCodings.find((name) => name === values.coding)
if (corpus === undefined || out === undefined || coding === undefined) {
  process.stderr.write(`Say --corpus DIR, --out DIR and --coding with one of ${streamCodings.join(', ')}.\n`)
  process.exit(2)
}

mkdirSync(out, { recursive: true })
let encoded = 0
for (const row of corpusRows(corpus)) {
  const exchange = JSON.parse(readFileSync(join(corpus, row.file), 'utf8')) as CorpusFile
  const body = decodedBody(exchange.response)
  const { body: _, body_base64: __, headers, ...response } = exchange.response
  const kept = Object.fromEntries(Object.entries(headers ?? {}).filter(([name]) => name.toLowerCase() !== 'content-encoding'))
  const changed = body.length === 0 ? { headers: kept, body: '' } : await recoded(body, kept, row.stream, coding)
  if (body.length > 0) encoded++
  writeFileSync(join(out, basename(row.file)), JSON.stringify({ ...exchange, response: { ...response, ...changed } }))
}
writeFileSync(join(out, 'index.jsonl'), readFileSync(join(corpus, 'index.jsonl')))
process.stdout.write(`${encoded} answers in ${coding}: ${out}\n`)

async function recoded(body: Buffer, headers: Readonly<Record<string, string>>, isStream: boolean, to: StreamCoding) {
  const bytes = isStream ? await flushed(to, lines(body)) : (codings[to]?.encode(body) ?? body)
  return { headers: { ...headers, 'content-encoding': to }, body_base64: bytes.toString('base64') }
}

/** Line by line; of an event-stream, which has no lines, that is anywhere. */
function lines(body: Buffer): readonly Buffer[] {
  const found: Buffer[] = []
  let start = 0
  for (let feed = body.indexOf('\n'); feed >= 0; feed = body.indexOf('\n', feed + 1)) {
    found.push(body.subarray(start, feed + 1))
    start = feed + 1
  }
  return start < body.length ? [...found, body.subarray(start)] : found
}
