// The reuse match where a key-addressed tier takes part: "not known yet" is an answer.

import test from 'ava'
import fc from 'fast-check'
import { Directory } from '../../ts/directory/directory.js'
import { Inquiry, type Existence } from '../../ts/directory/inquiry.js'
import { KeyedRemains } from '../../ts/directory/keyed-remains.js'
import type { Match } from '../../ts/directory/match.js'
import { viewOf, wholeView, type View } from '../../ts/directory/view.js'
import { BLOCK_TOKENS } from '../../ts/engine/types.js'
import { perSlotTier } from '../../ts/protocol/tiers.js'

const ROOT = 'root'
const keyAt = (index: number) => `key ${index}`

/** The match of a prompt of `length` tokens where each full block is in hbm (`here`), or as told. */
function matched(length: number, blocks: ReadonlyArray<Existence | 'here'>, view: View = wholeView): Match {
  const directory = new Directory(perSlotTier(() => 64))
  const tokens = Uint32Array.from({ length }, (_, i) => i)
  const keys = Array.from({ length: Math.floor(length / BLOCK_TOKENS) }, (_, index) => keyAt(index))
  for (const [index, state] of blocks.entries()) {
    if (state !== 'here') continue
    const own = tokens.slice(index * BLOCK_TOKENS, (index + 1) * BLOCK_TOKENS)
    directory.reserve('hbm')?.become(directory.obtain(keyAt(index), index === 0 ? ROOT : keyAt(index - 1), index, own), 'present')
  }
  return directory.match(ROOT, keys, tokens, view, () => true, key => {
    const state = blocks[keys.indexOf(key)] ?? 'absent'
    return state === 'here' ? 'absent' : state
  })
}

const found = ({ length, elsewhere = [] }: Match) => ({ length, elsewhere: elsewhere.map(({ index, existence }) => `${index} ${existence}`) })

test('a block that is not known yet is neither used nor given up', t => {
  t.deepEqual(found(matched(200, ['here', 'unknown', 'unknown'])), { length: 64, elsewhere: ['1 unknown', '2 unknown'] })
  t.deepEqual(found(matched(200, ['here', 'present', 'unknown'])), { length: 64, elsewhere: ['1 present', '2 unknown'] })
})

test('a block behind one that is nowhere is not asked for', t => {
  t.deepEqual(found(matched(300, ['here', 'absent', 'unknown', 'present'])), { length: 64, elsewhere: [] })
  t.deepEqual(found(matched(300, ['unknown', 'here', 'absent', 'present'])), { length: 0, elsewhere: ['0 unknown'] })
})

test('a block that a slot holds is not asked for, and one behind the last full one is not either', t => {
  t.deepEqual(found(matched(200, ['here', 'here', 'here'])), { length: 192, elsewhere: [] })
  t.deepEqual(found(matched(130, ['here', 'unknown'])), { length: 64, elsewhere: ['1 unknown'] })
  t.deepEqual(found(matched(63, [])), { length: 0, elsewhere: [] })
})

test('what the view does not see is not asked for', t => {
  const view = viewOf({ window: 256, head: 64, step: 64 })
  const all: Existence[] = Array.from({ length: 6 }, () => 'unknown')
  t.deepEqual(found(matched(400, all, view)).elsewhere, ['0 unknown', '4 unknown', '5 unknown'])
  t.deepEqual(found(matched(400, all)).elsewhere.length, 6)
})

test('without a key-addressed tier a match says nothing of other places', t => {
  const directory = new Directory(perSlotTier(() => 4))
  t.deepEqual(directory.match(ROOT, [keyAt(0)], new Uint32Array(70), wholeView), { length: 0, sources: [] })
})

test('if all that is asked for were there, the reuse would end where the match hopes; less never reaches as far', t => {
  const state = fc.constantFrom<Existence | 'here'>('here', 'present', 'absent', 'unknown')
  fc.assert(
    fc.property(fc.array(state, { minLength: 1, maxLength: 12 }), fc.integer({ min: 1, max: 40 }), fc.boolean(), (blocks, tail, isCut) => {
      const view = isCut ? viewOf({ window: 256, head: 64, step: 64 }) : wholeView
      const length = blocks.length * BLOCK_TOKENS + tail
      const match = matched(length, blocks, view)
      const asked = new Set((match.elsewhere ?? []).map(({ index }) => index))
      const reach = (missing?: number) => matched(length, blocks.map((each, index) => (asked.has(index) && index !== missing ? 'here' : each)), view)
      const hoped = reach()
      t.true(asked.size === 0 ? hoped.length === match.length : hoped.length > match.length)
      t.deepEqual(hoped.elsewhere, [])
      for (const index of asked) t.true(reach(index).length < hoped.length, `without block ${index}`)
    }),
    { numRuns: 300 },
  )
})

test('an inquiry knows each key once: unknown until it is answered, absent if it was not asked', t => {
  const inquiry = new Inquiry(['a', 'b', 'a', 'c'])
  t.deepEqual(inquiry.keys, ['a', 'b', 'c'])
  t.is(inquiry.of('a'), 'unknown')
  t.is(inquiry.of('x'), 'absent')
  t.deepEqual(inquiry.unanswered, ['a', 'b', 'c'])
  inquiry.answered([true, false])
  t.deepEqual(['a', 'b', 'c'].map(key => inquiry.of(key)), ['present', 'absent', 'absent'])
  t.deepEqual(inquiry.unanswered, [])
})

test('of blocks that left, the last conversation that used them takes them along, within the bound', t => {
  const remains = new KeyedRemains(2)
  remains.left('shared', ['a', 'b'])
  remains.left('own', ['a'])
  t.deepEqual(remains.take('a'), ['own'])
  t.deepEqual(remains.take('a'), [])
  t.deepEqual(remains.take('b'), ['shared'])
  for (const key of ['1', '2', '3']) remains.left(key, ['a'])
  remains.left('unused', [])
  t.deepEqual(remains.take('a'), ['2', '3'])
})
