/** Reads a folder of recorded exchanges: `index.jsonl` with one row for each, and a JSON file that the row names. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Framing } from '../../src/lib/exchange.ts'
import { decodeWhole } from '../../src/observe/decode/decode.ts'
import type { Recording } from './recording.ts'

interface CorpusMessage {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Bytes that are no text, or still compressed. */
  readonly body_base64?: string
}

export interface CorpusFile {
  readonly request: CorpusMessage & { readonly method: string; readonly path: string; readonly host?: string }
  readonly response: CorpusMessage & { readonly status: number }
}

interface CorpusRow {
  readonly id: string
  readonly stream: boolean
  readonly wire: string
  readonly file: string
}

/** The corpora that lie beside the project, where they do. */
export function corporaBeside(): readonly string[] {
  return ['corpus', 'corpus2'].map((name) => join(import.meta.dirname, '../../../shared', name)).filter((folder) => existsSync(folder))
}

export function corpusRows(folder: string): readonly CorpusRow[] {
  const text = readFileSync(join(folder, 'index.jsonl'), 'utf8').trim()
  return text.split('\n').map((line) => JSON.parse(line) as CorpusRow)
}

function bodyOf({ body, body_base64: base64 }: CorpusMessage): Buffer {
  return base64 === undefined ? Buffer.from(body ?? '') : Buffer.from(base64, 'base64')
}

function lowerCase(headers: CorpusMessage['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)]))
}

/** Content-Encoding undone. Throws for a recording that cannot be decoded: such a corpus is broken. */
export function decodedBody(response: CorpusMessage): Buffer {
  const decoded = decodeWhole(lowerCase(response.headers)['content-encoding'], bodyOf(response), 256 * 1024 * 1024)
  if (typeof decoded === 'string') throw new Error(`a recording cannot be decoded: ${decoded}`)
  return Buffer.from(decoded)
}

/** Fields that belong to a connection or to the recorded length. */
const notKept = /^(connection|keep-alive|transfer-encoding|te|trailer|upgrade|host|expect|content-length|content-encoding|traceparent)$/

function kept(headers: CorpusMessage['headers']): Record<string, string> {
  const sound = Object.entries(lowerCase(headers)).filter(([name, value]) => !notKept.test(name) && /^[\t\x20-\x7e]*$/.test(value))
  return Object.fromEntries(sound.filter(([name]) => /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)))
}

/** Every exchange of the corpus, decoded. */
export function corpusRecordings(folder: string): readonly Recording[] {
  return corpusRows(folder).map((row) => {
    const { request, response } = JSON.parse(readFileSync(join(folder, row.file), 'utf8')) as CorpusFile
    return {
      name: row.id,
      method: request.method,
      path: request.path,
      host: request.host,
      requestHeaders: kept(request.headers),
      requestBody: bodyOf(request),
      status: response.status,
      responseHeaders: kept(response.headers),
      framing: (row.stream ? row.wire : 'whole') as Framing,
      body: decodedBody(response),
    }
  })
}
