import test from 'ava'
import { NO_AGE } from 'attentionstore/protocol'
import type { Cells } from './cells.js'
import { COLOUR_CHOICES, kindOf, legendOf } from './colours.js'

const owners = [
  { conversation: '', tenant: '' },
  { conversation: 'a', tenant: 'red' },
  { conversation: 'b', tenant: 'blue' },
]
const cells: Cells = {
  count: 5,
  states: Uint8Array.of(0, 1, 2, 3, 4),
  ages: Uint8Array.of(NO_AGE, 0, 1, 5, 40),
  owners: Uint16Array.of(0, 1, 2, 1, 0),
}
const kinds = (by: (typeof COLOUR_CHOICES)[number]['value'], list = owners, from = cells) =>
  Array.from({ length: from.count }, (_, index) => kindOf(by, from, list)(index))

test('a cell is coloured by what was asked for; what is free looks free in each', (t) => {
  t.deepEqual(kinds('state'), ['cell-free', 'cell-cached', 'cell-waiting', 'cell-moving', 'cell-running'])
  t.deepEqual(kinds('age'), ['cell-free', 'age-0', 'age-0', 'age-2', 'age-6'])
  t.deepEqual(kinds('tenant'), ['cell-free', 'category-0', 'category-1', 'category-0', 'cell-cached'])
})

test('a conversation keeps its colour when the list of owners changes', (t) => {
  const [, first] = kinds('conversation')
  const moved = [owners[0] ?? { conversation: '', tenant: '' }, ...owners.slice(1).toReversed()]
  const swapped = { ...cells, owners: Uint16Array.of(0, 2, 1, 2, 0) }
  t.is(kinds('conversation', moved, swapped)[1], first)
})

test('every colour has a meaning in the legend', (t) => {
  for (const { value } of COLOUR_CHOICES.filter((choice) => choice.value !== 'conversation')) {
    const told = new Set(legendOf(value, { owners }).map(({ kind }) => kind))
    t.true(kinds(value).every((kind) => told.has(kind) || kind === 'cell-cached'), value)
  }
})
