import test from 'ava'
import { NO_AGE, type TierMap } from 'attentionstore/protocol'
import { ageOf, cellsOf, countStates, slotsOf, stateOf } from './cells.js'

const base64 = (bytes: readonly number[]) => Buffer.from(bytes).toString('base64')
const map: TierMap = {
  name: 'dram',
  slots: 7,
  slotsPerCell: 2,
  states: base64([0, 1, 4, 3]),
  ages: base64([NO_AGE, 0, 3, 10]),
  owners: base64([0, 0, 1, 0, 0x2c, 0x01, 2, 0]),
}

test('a map is read as it was written, owners as little-endian words', (t) => {
  const cells = cellsOf(map)
  t.is(cells.count, 4)
  t.deepEqual([0, 1, 2, 3].map((index) => stateOf(cells, index)), ['free', 'cached', 'running', 'moving'])
  t.deepEqual([...cells.owners], [0, 1, 300, 2])
  t.deepEqual(countStates(cells), { free: 1, cached: 1, waiting: 0, moving: 1, running: 1 })
})

test('ages are ranges of seconds, none for what is free', (t) => {
  const cells = cellsOf(map)
  t.deepEqual([0, 1, 2].map((index) => ageOf(cells, index)), [null, { from: 0, to: 1 }, { from: 7, to: 15 }])
})

test('the last cell may stand for fewer slots', (t) => {
  t.deepEqual(slotsOf(map, 0), [0, 1])
  t.deepEqual(slotsOf(map, 3), [6, 6])
})

test('a message of unequal columns is cut to the shortest', (t) => {
  t.is(cellsOf({ ...map, ages: base64([1]) }).count, 1)
})
