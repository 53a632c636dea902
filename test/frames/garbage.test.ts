import { describe, expect, it } from 'vitest'
import type { Framing } from '../../src/lib/exchange.ts'
import { fixtures } from './fixtures.ts'
import { isSubsequence, isWanted, randomCuts, run, seeded } from './run.ts'

const framings: readonly Framing[] = ['sse', 'ndjson', 'json-array', 'eventstream', 'websocket', 'whole']
const keys = ['usage', 'error']
const salt = ['\r', '\n', '\r\n\r\n', ':', '"', '\\', '{', ']', '\0', 'data:', '\ufeff', '"usage":', '[DONE]', '\xff\xfe'].map((text) =>
  Buffer.from(text, 'latin1'),
)

function mutate(body: Buffer, random: () => number): Buffer {
  const at = Math.floor(random() * (body.length + 1))
  const length = Math.floor(random() * 20)
  switch (Math.floor(random() * 5)) {
    case 0: {
      const changed = Buffer.from(body)
      if (body.length > 0) changed[at % body.length] = Math.floor(random() * 256)
      return changed
    }
    case 1:
      return Buffer.concat([body.subarray(0, at), body.subarray(at + length)])
    case 2:
      return Buffer.concat([body.subarray(0, at), salt[Math.floor(random() * salt.length)] as Buffer, body.subarray(at)])
    case 3:
      return Buffer.concat([body.subarray(0, at), body.subarray(Math.max(0, at - length))])
    default:
      return Buffer.from(Array.from({ length: length * 4 }, () => Math.floor(random() * 256)))
  }
}

describe('garbage', () => {
  it('makes no framer throw, and is read the same at any cut', () => {
    const random = seeded(2026)
    for (let turn = 0; turn < 20_000; turn++) {
      const { framing: own, body } = fixtures[turn % fixtures.length] as (typeof fixtures)[number]
      const framing = turn % 3 === 0 ? (framings[Math.floor(random() * framings.length)] as Framing) : own
      let bad = mutate(body, random)
      while (random() < 0.4) bad = mutate(bad, random)
      const settings = { messageBytesMax: random() < 0.5 ? 40 : 10_000 }
      const cuts = randomCuts(bad, random)
      const inOnePiece = run(framing, [bad], settings)
      const inPieces = run(framing, cuts, settings)
      const same = JSON.stringify(inOnePiece) === JSON.stringify(inPieces)
      if (!same) expect({ framing, bad: bad.toString('latin1'), cuts: cuts.map(String), ...inPieces }).toEqual(inOnePiece)
      const skimmed = run(framing, cuts, { ...settings, wantedKeys: () => keys }).messages
      const wanted = inOnePiece.messages.filter((message) => isWanted(message, keys))
      const sound = isSubsequence(wanted, skimmed) && isSubsequence(skimmed, inOnePiece.messages)
      if (!sound) expect({ framing, bad: bad.toString('latin1'), cuts: cuts.map(String), skimmed }).toEqual({ wanted })
    }
  })

  it('after a push that follows the end changes nothing', () => {
    for (const { framing, body, messages, notes } of fixtures) expect(run(framing, [body, Buffer.alloc(0)])).toEqual({ messages, notes })
  })
})
