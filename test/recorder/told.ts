/** A batch in the words of a test. */
import type { Slice, ToRecorder } from '../../src/recorder/batch.ts'

/** One batch, as it was told. */
export interface Told {
  readonly resent: boolean
  readonly opened: readonly string[]
  /** Id and text. */
  readonly requests: readonly (readonly [string, string])[]
  /** Id, whether its opening came along, texts of its bodies. */
  readonly ended: readonly (readonly [string, boolean, string | undefined, string | undefined])[]
}

export function toldIn({ batch, resent }: Extract<ToRecorder, { kind: 'batch' }>): Told {
  const { opened, requests, ended, bytes } = batch
  const text = (slice: Slice | undefined) =>
    slice === undefined ? undefined : Buffer.from(bytes.subarray(slice[0], slice[0] + slice[1])).toString()
  return {
    resent: resent === true,
    opened: opened.map(({ id }) => id),
    requests: requests.map(({ id, body }) => [id, text(body) ?? '']),
    ended: ended.map((one) => [one.ending.id, one.opening !== undefined, text(one.requestBody), text(one.responseBody)]),
  }
}
