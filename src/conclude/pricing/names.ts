/** A model's name as a price is looked up by: exactly, or without the date of its version. Nothing else is near enough. */

/** `…-20250929`, `…@20250929`, `…-2025-09-29`; Bedrock's `…-20250929-v1:0`, whose version stays where it has no date. */
const date = /[-@](?:20\d{6}|20\d{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))(?=$|-v\d+(?::\d+)?$)/

/** Google's fixed versions of a model, which cost what it does. */
const googleVersion = /^(gemini-.+)-00\d$/

/** Without the date; the same where it has none. Lower case comes in and goes out. */
export function undated(name: string): string {
  return name.replace(date, '').replace(googleVersion, '$1')
}

/**
 * As it came, and without what stands before its last slash: `models/gemini-…`, `openai/gpt-…`, the ARN of an inference profile. A fine-tuned model
 * (`ft:gpt-4o-2024-08-06:acme::abc`) costs what all of its base cost, which have a price of their own.
 */
export function spellingsOf(model: string): readonly string[] {
  const whole = model.toLowerCase()
  if (whole.startsWith('ft:')) return [whole.split(':', 2).join(':')]
  const last = whole.slice(whole.lastIndexOf('/') + 1)
  return last === whole || last === '' ? [whole] : [whole, last]
}
