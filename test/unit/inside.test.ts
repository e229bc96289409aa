import test from 'ava'
import { insideOf } from '../support/inside.js'

const tokens = (...hex: readonly string[]) => hex.map((digits) => Uint8Array.from(Buffer.from(digits, 'hex')))

test('tokens whose characters are complete are inside', (t) => {
  t.deepEqual(insideOf(tokens('61', 'e282', 'ac'), 'a€'), { tokens: 3, bytes: 4 })
  t.deepEqual(insideOf([], ''), { tokens: 0, bytes: 0 })
})

test('a character that is cut at the end is outside, with every token that has a byte of it', (t) => {
  t.deepEqual(insideOf(tokens('61', 'e2', '82'), 'a'), { tokens: 1, bytes: 1 })
  t.deepEqual(insideOf(tokens('f09f', '99'), ''), { tokens: 0, bytes: 0 })
})

test('bytes that can no longer become a character are inside as U+FFFD', (t) => {
  t.deepEqual(insideOf(tokens('f09f', 'f09f', '90', 'a6', 'f09f'), '\ufffd🐦'), { tokens: 4, bytes: 7 })
  t.deepEqual(insideOf(tokens('ff', '62'), '\ufffdb'), { tokens: 2, bytes: 4 })
})

test('nothing is inside from a token on that the text does not hold', (t) => {
  t.deepEqual(insideOf(tokens('61', '6263', '61'), 'ab'), { tokens: 1, bytes: 1 })
  t.deepEqual(insideOf(tokens('61', '', '62'), 'ab'), { tokens: 1, bytes: 1 })
})
