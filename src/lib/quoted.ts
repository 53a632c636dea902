/** Words of others for people to read: on one line, not too long, and without what looks like a secret. */
import { printableLine } from './printable.ts'

const charactersUsualMax = 300
/** Shorter texts are in many words, and protect nothing. */
const secretCharactersMin = 4

const patterns: readonly (readonly [RegExp, string])[] = [
  [/\b(bearer|basic|digest|negotiate|apikey)\s+[^\s"',;]+/gi, '$1 ***'],
  [/\/\/[^/\s"'@]+@/g, '//***@'],
  [/\b([\w-]*(?:key|token|secret|password|passwd|signature|credential|sig|auth)["']?\s*[=:]\s*["']?)[^\s"'&,;]+/gi, '$1***'],
  [/\b(?:sk|pk|rk|hf|gsk|xai|ghp|glpat|xox[abp]|r8|pplx|nvapi)[-_][\w-]{6,}/g, '***'],
  [/\bAIza[\w-]{16,}|\bAKIA\w{12,}|\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?/g, '***'],
  // Long, of letters and digits: most keys, and no word of a language.
  [/\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{32,}/g, '***'],
]

/** `secrets`: texts that must not be in it whatever they look like. */
export function quoted(text: string, secrets: readonly string[] = [], charactersMax = charactersUsualMax): string {
  const line = printableLine(without(text, secrets).replace(/\s+/g, ' ').trim())
  return line.length > charactersMax ? `${line.slice(0, charactersMax - 1)}…` : line
}

/** The same text without secrets. */
export function without(text: string, secrets: readonly string[]): string {
  const longestFirst = secrets.filter(({ length }) => length >= secretCharactersMin).sort((a, b) => b.length - a.length)
  const known = longestFirst.reduce((rest, secret) => rest.replaceAll(secret, '***'), text)
  return patterns.reduce((rest, [pattern, by]) => rest.replace(pattern, by), known)
}

/** The title of a page and its text, without markup. */
export function textOfHtml(html: string): string {
  const title = /<title[^>]*>([^<]*)/i.exec(html)?.[1]?.trim()
  if (title) return title
  return html
    .replace(/<(script|style)[\s\S]*?(<\/\1>|$)/gi, ' ')
    .replace(/<[^>]*>?/g, ' ')
    .trim()
}
