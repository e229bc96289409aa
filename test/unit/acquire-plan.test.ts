// How a sequence gets its blocks; ts/scheduler/moves/acquire-plan.ts.

import test from 'ava'
import { Block, type CopyState } from '../../ts/directory/block.js'
import type { TierName } from '../../ts/engine/types.js'
import { needsSlot, planAcquisition, type AcquireQuestion } from '../../ts/scheduler/moves/acquire-plan.js'

function blockIn(copies: Partial<Record<TierName, CopyState>>, index: number, valid = 64): Block {
  const block = new Block(`key ${index}`, `key ${index - 1}`, index, new Uint32Array(valid), index)
  for (const [tier, state] of Object.entries(copies)) Object.assign(block.copies[tier as TierName], { state, slot: index })
  return block
}

/** A history of these blocks, all of whose rows are found. */
function plan(blocks: readonly Block[], rest: Partial<AcquireQuestion> = {}) {
  const sources = blocks.map(block => ({ index: block.index, block, rows: block.valid }))
  const length = sources.reduce((sum, { rows }) => sum + rows, 0)
  return planAcquisition({ found: { length, sources }, choice: 'load', tokens: length + 1, window: Infinity, isPinned: () => false, ...rest })
}

const waysOf = ({ steps }: ReturnType<typeof plan>) => steps.map(({ way }) => way)

test('what is in hbm or on its way there is shared, what is below is loaded', t => {
  const found = plan([blockIn({ hbm: 'present' }, 0), blockIn({ hbm: 'filling' }, 1), blockIn({ dram: 'present' }, 2), blockIn({ ssd: 'present' }, 3)])
  t.deepEqual(waysOf(found), ['share', 'share', 'load', 'load'])
  // Two to load, and one for the token that is known and the one after it.
  t.is(found.slots, 3)
})

test('a partly used block is taken over by its sole owner, and copied where another uses, wants or moves it', t => {
  const tail = () => blockIn({ hbm: 'present' }, 0, 40)
  t.deepEqual(waysOf(plan([tail()])), ['take over'])
  const [used, wanted] = [tail(), tail()]
  used.refs = 1
  wanted.want(7)
  t.deepEqual(waysOf(plan([used])), ['copy'])
  t.deepEqual(waysOf(plan([wanted])), ['copy'])
  t.deepEqual(waysOf(plan([tail()], { isPinned: slot => slot === 0 })), ['copy'])
  t.deepEqual(waysOf(plan([blockIn({ dram: 'present' }, 0, 40)])), ['load own'])
})

test('what lies on disk alone is deferred where it is not simply loaded, and a tail on disk is left out where all is computed', t => {
  const blocks = [blockIn({ dram: 'present' }, 0), blockIn({ ssd: 'present' }, 1), blockIn({ ssd: 'present' }, 2, 40)]
  t.deepEqual(waysOf(plan(blocks, { choice: 'split' })), ['load', 'defer', 'defer'])
  const { match, ...rest } = plan(blocks, { choice: 'recompute' })
  t.deepEqual(waysOf({ match, ...rest }), ['load', 'defer'])
  t.is(match.length, 128)
})

test('no more slots are needed than the window holds, less those that are shared', t => {
  const blocks = [blockIn({ hbm: 'present' }, 0), blockIn({ dram: 'present' }, 1)]
  t.is(plan(blocks, { tokens: 1000 }).slots, 15)
  t.is(plan(blocks, { tokens: 1000, window: 256 }).slots, 3)
  t.deepEqual(plan(blocks).steps.map(({ way }) => needsSlot(way)), [false, true])
})
