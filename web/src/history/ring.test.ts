import test from 'ava'
import fc from 'fast-check'
import { RingTable } from './ring.js'

test('a ring holds the newest rows, oldest first', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.array(fc.integer(), { maxLength: 30 }), (capacity, values) => {
      const ring = new RingTable(['a', 'b'], capacity)
      for (const value of values) ring.push({ a: value, b: -value })
      const expected = values.slice(-capacity)
      return (
        ring.length === expected.length &&
        JSON.stringify(ring.read('a')) === JSON.stringify(expected) &&
        ring.read('b').every((value, index) => value === -(expected[index] ?? NaN))
      )
    }),
  )
  t.pass()
})

test('a missing value reads as null, and a cleared ring is empty', (t) => {
  const ring = new RingTable(['a'], 4)
  ring.push({ a: NaN })
  ring.push({ a: 2 })
  t.deepEqual(ring.read('a'), [null, 2])
  ring.clear()
  t.deepEqual(ring.read('a'), [])
})
