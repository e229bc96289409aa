// Blocks that left: what became of them, and what they bring when they come back.

import test from 'ava'
import fc from 'fast-check'
import type { Block } from '../../ts/directory/block.js'
import { Directory } from '../../ts/directory/directory.js'
import { ghostCapacity, Ghosts } from '../../ts/directory/ghosts.js'
import { lru } from '../../ts/placement/lru.js'

const SLOTS = { hbm: 4, dram: 4, ssd: 4 }
const NOTHING = { uses: 0, cohort: null }

function withGhosts(): { directory: Directory; ghosts: Ghosts; at: (ms: number) => void } {
  let now = 0
  const directory = new Directory(SLOTS, { policy: lru, now: () => now })
  return { directory, ghosts: directory.ghosts, at: ms => void (now = ms) }
}

function stored(directory: Directory, key = 'k'): Block {
  const block = directory.obtain(key, 'root', 0, Uint32Array.of(1, 2, 3))
  directory.reserve('hbm')?.become(block, 'present')
  return block
}

test('a block that loses its last copy is remembered with time, tier, cause and policy', t => {
  const { directory, ghosts, at } = withGhosts()
  const block = stored(directory)
  directory.reserve('ssd')?.become(block, 'present')
  directory.removeCopy(block, 'hbm', 'evicted')
  t.is(ghosts.get('k'), undefined)
  at(7)
  directory.removeCopy(block, 'ssd', 'evicted')
  t.deepEqual(ghosts.get('k'), { at: 7, cause: 'evicted', tier: 'ssd', policy: 'lru', history: NOTHING })
})

test('what an operator, time or damage removed was chosen by no policy', t => {
  const { directory, ghosts } = withGhosts()
  for (const cause of ['reset', 'ttl', 'damaged'] as const) {
    directory.removeCopy(stored(directory, cause), 'hbm', cause)
    t.like(ghosts.get(cause), { cause, policy: null })
  }
  directory.orphan(stored(directory, 'orphan'))
  t.like(ghosts.get('orphan'), { cause: 'damaged', policy: null, tier: 'hbm' })
})

test('a damaged block that a sequence still names is remembered too', t => {
  const { directory, ghosts } = withGhosts()
  const block = stored(directory)
  directory.ref(block)
  directory.orphan(block)
  t.like(ghosts.get('k'), { cause: 'damaged' })
})

test('what lives on in another block is not missed: it leaves no ghost', t => {
  const { directory, ghosts } = withGhosts()
  directory.removeCopy(stored(directory, 'superseded'), 'hbm')
  directory.takeOver(stored(directory, 'extended'))
  t.is(ghosts.size, 0)
})

test('a block that comes back has its history, and no ghost', t => {
  const { directory, ghosts } = withGhosts()
  const block = stored(directory)
  block.uses = 3
  directory.removeCopy(block, 'hbm', 'evicted')
  const back = stored(directory)
  t.not(back, block)
  t.is(back.uses, 3)
  t.is(ghosts.size, 0)
})

test('of more ghosts than there is room for, those that left last are remembered', t => {
  fc.assert(
    fc.property(fc.array(fc.nat(9)), fc.integer({ min: 1, max: 6 }), (keys, capacity) => {
      const ghosts = new Ghosts({ capacity, policy: 'lru', now: () => 0 })
      let order: string[] = []
      for (const key of keys.map(String)) {
        ghosts.left(key, 'ssd', 'evicted', NOTHING)
        order = [...order.filter(other => other !== key), key].slice(-capacity)
        t.is(ghosts.size, order.length)
      }
      for (let key = 0; key < 10; key++) t.is(ghosts.get(String(key)) !== undefined, order.includes(String(key)))
    }),
  )
})

test('a cache remembers five ghosts a slot, and never more than a fixed number', t => {
  t.is(ghostCapacity({ hbm: 1, dram: 2, ssd: 3 }), 30)
  t.is(ghostCapacity({ hbm: 0, dram: 0, ssd: 1e9 }), 262_144)
})
