import test from 'ava'
import { Agreement, type Position } from '../support/agreement.js'

const REFERENCE = Float32Array.from([-3, -1, -1.25, -6])
const at = (...actual: Position['actual']): Omit<Position, 'where'> => ({ actual, reference: REFERENCE })
const EXACT = at([1, -1], [2, -1.25], [0, -3])

function agreement(positions: ReadonlyArray<Omit<Position, 'where'>>): Agreement {
  const sum = new Agreement()
  for (const [index, position] of positions.entries()) sum.add({ ...position, where: `position ${index}` })
  return sum
}

test('the same numbers have no distance', (t) => {
  const { distance, positions, differences, wide } = agreement([EXACT, EXACT])
  t.deepEqual({ distance, positions, differences, wide }, { distance: 0, positions: 2, differences: 0, wide: [] })
})

test('the distance is that of all that was said, relative to the reference', (t) => {
  const { distance, differences } = agreement([EXACT, at([1, -1], [2, -1.25], [0, -3.5])])
  t.is(distance, Math.sqrt(0.25 / (2 * (1 + 1.25 ** 2 + 9))))
  t.is(differences, 0)
})

test('another likeliest token is right only where two are nearer than the numbers are', (t) => {
  // The margin is a quarter; four times the root mean square of ±0.2 is 0.8, of ±0.05 is 0.2.
  t.deepEqual(agreement([at([2, -1.05], [1, -1.2])]).wide, [])
  const [found, ...others] = agreement([EXACT, at([2, -1.2], [1, -1.05])]).wide
  t.is(found?.where, 'position 1')
  t.is(found?.margin, 0.25)
  t.true(Math.abs((found?.bound ?? 0) - 0.2) < 1e-6)
  t.deepEqual(others, [])
  // One that says exactly the reference's numbers, in another order, has no excuse.
  t.is(agreement([at([2, -1.25], [1, -1])]).wide.length, 1)
})

test('what is not a number agrees with nothing', (t) => {
  t.false(agreement([at([1, Number.NaN])]).distance <= 1)
  t.false(agreement([at([9, -1])]).distance <= 1)
  t.is(agreement([at([2, Number.NaN])]).wide.length, 1)
})
