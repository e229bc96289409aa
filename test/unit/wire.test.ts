// Events as the engine packs them, written here by hand.

import test from 'ava'
import { readEvents } from '../../ts/engine/native/wire.js'
import type { StepReply } from '../../ts/engine/types.js'

const HAS_FINISH = 1 << 4

/** A step of one row that ends its answer for the reason with this number. */
function ended(reason: number): StepReply {
  const step = [7, 0, 0, 0, 1]
  const row = [3, HAS_FINISH, 0, 0]
  const finished = [reason, 5, 0, 11, 12, 13]
  const words = [0, 0, ...step, ...row, ...finished]
  words[1] = 4 * words.length
  const [event] = readEvents(Buffer.from(Uint32Array.from(words).buffer))
  return event as StepReply
}

test('each reason to end has its word, and only a stop token is named with it', (t) => {
  const rows = [0, 1, 2, 3, 4].map((reason) => ended(reason).rows[0])
  t.deepEqual(rows.map((row) => row?.finish), ['stop', 'stop', 'stop', 'length', 'none_allowed'])
  t.deepEqual(rows.map((row) => row?.stopped), [null, 5, '', null, null])
  t.deepEqual([rows[4]?.token, rows[4]?.insideTokens, rows[4]?.insideBytes, rows[4]?.computedTokens], [undefined, 11, 12, 13])
})

/** Length in bytes, then UTF-8 in whole words. */
function text(value: string): number[] {
  const bytes = Buffer.alloc(Math.ceil(Buffer.byteLength(value) / 4) * 4)
  bytes.write(value)
  return [Buffer.byteLength(value), ...new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)]
}

test('a transfer that failed says why, and one that did not says nothing', (t) => {
  const transfer = (id: number, error: string, detail: string): number[] => {
    const words = [1, 0, id, 0, 9, 1, ...text(error), ...text(detail)]
    words[1] = 4 * words.length
    return words
  }
  const words = [...transfer(5, '', ''), ...transfer(6, 'load_failed', 'cuda:0: invalid argument')]
  t.deepEqual(readEvents(Buffer.from(Uint32Array.from(words).buffer)), [
    { kind: 'transfer', id: 5, ms: 0, bytes: 9 + 2 ** 32 },
    { kind: 'transfer', id: 6, ms: 0, bytes: 9 + 2 ** 32, error: 'load_failed', detail: 'cuda:0: invalid argument' },
  ])
})
