/** Random JSON out of the very keys and values that the formats look for, so that fuzzing reaches their depths. Seeded by a text. */
import type { Json } from '../../src/lib/json.ts'
import { fixtures } from './fixtures/index.ts'

export function randomNumbers(seed: string): () => number {
  let state = [...seed].reduce((sum, letter) => (Math.imul(sum, 31) + letter.charCodeAt(0)) >>> 0, 7)
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 4_294_967_296
  }
}

const keys: string[] = []
const values: Json[] = [null, true, false, 0, -1, 1.5, 1e300, 7, '', 'text', '12', '{', 'AAAA', [], {}]

function gather(value: Json | undefined): void {
  if (typeof value === 'string') values.push(value)
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) {
    if (!Array.isArray(value) && !keys.includes(key)) keys.push(key)
    gather(inner as Json)
  }
}
for (const fixture of fixtures) {
  gather(fixture.request)
  for (const message of fixture.messages) gather(message.data)
}

export function randomJson(random: () => number, depth = 0): Json {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  if (depth > 4 || random() < 0.25) return pick(values)
  const size = Math.floor(random() * 6)
  if (random() < 0.25) return Array.from({ length: size }, () => randomJson(random, depth + 1))
  return Object.fromEntries(Array.from({ length: size }, () => [pick(keys), randomJson(random, depth + 1)]))
}
