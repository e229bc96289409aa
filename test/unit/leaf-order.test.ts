// In which order the blocks of a tier go: against a search through all of them, whatever happened before.

import test from 'ava'
import fc from 'fast-check'
import type { Block } from '../../ts/directory/block.js'
import { Directory } from '../../ts/directory/directory.js'
import { Evictor } from '../../ts/directory/evictor.js'
import { createPolicy, policyNames } from '../../ts/placement/registry.js'
import type { PolicyName, TurnUse } from '../../ts/placement/types.js'

const SLOTS = 12
const ROOT = 'root'

/** A directory with chains of blocks in hbm; block `a.2` continues `a.1`. */
function playground(policy: PolicyName) {
  let now = 0
  const directory = new Directory({ hbm: SLOTS, dram: 0, ssd: 0 }, { policy: createPolicy(policy), now: () => now })
  const store = (chain: string, length: number): Block[] => {
    now += 1000
    const turn = directory.policy.begin({ atMs: now, newTokens: 64 * length })
    return Array.from({ length }, (_, index) => stored(chain, index, turn))
  }
  const stored = (chain: string, index: number, turn: TurnUse): Block => {
    const parent = index === 0 ? ROOT : `${chain}.${index - 1}`
    const block = directory.obtain(`${chain}.${index}`, parent, index, new Uint32Array(64))
    if (block.copies.hbm.state === 'absent') {
      const slot = directory.reserve('hbm')
      if (!slot) return block
      slot.become(block, 'present')
    }
    directory.use(block, turn)
    return block
  }
  return { directory, store }
}

const names = (blocks: readonly Block[]): string[] => blocks.map(({ key }) => key)

function drained(directory: Directory, mayGo: (block: Block) => boolean = () => true): string[] {
  const evictor = new Evictor(directory, 'hbm')
  const gone: Block[] = []
  for (let block = evictor.next(mayGo); block; block = evictor.next(mayGo)) {
    directory.removeCopy(block, 'hbm', 'evicted')
    directory.checkIntegrity()
    gone.push(block)
  }
  return names(gone)
}

test('lru gives up whole chains from the tail, the oldest first', t => {
  const { directory, store } = playground('lru')
  store('a', 2)
  store('b', 2)
  store('a', 3)
  t.deepEqual(drained(directory), ['b.1', 'b.0', 'a.2', 'a.1', 'a.0'])
})

test('fifo knows nothing of chains: heads go before their tails', t => {
  const { directory, store } = playground('fifo')
  store('a', 2)
  store('b', 1)
  t.deepEqual(drained(directory), ['a.0', 'a.1', 'b.0'])
})

test('what a queued request wants goes last, and first again when it wants it no longer', t => {
  const { directory, store } = playground('scheduler-aware')
  const [wanted] = store('a', 1)
  store('b', 1)
  wanted?.want(7)
  const evictor = new Evictor(directory, 'hbm')
  t.is(evictor.next(() => true)?.key, 'b.0')
  wanted?.unwant(7)
  store('c', 1)
  t.deepEqual(drained(directory).toSorted(), ['a.0', 'b.0', 'c.0'])
})

test('a use moves a leaf back, though nobody told the order', t => {
  const { directory, store } = playground('lru')
  store('a', 1)
  store('b', 1)
  store('a', 1)
  t.deepEqual(drained(directory), ['b.0', 'a.0'])
})

test('a leaf that must stay does not hold up what lies before it, if nothing else may go', t => {
  const { directory, store } = playground('lru')
  const blocks = store('a', 3)
  t.deepEqual(drained(directory, block => block !== blocks[2]), ['a.1', 'a.0'])
})

test('what a sequence uses is not given up, and is a leaf again when it lets go', t => {
  const { directory, store } = playground('lru')
  const block = store('a', 1)[0] as Block
  directory.ref(block)
  t.is(directory.orders.hbm.first(() => true), null)
  directory.unref(block, -1)
  t.is(directory.orders.hbm.first(() => true), block)
})

test('a head that comes back after its tail is no leaf', t => {
  const { directory, store } = playground('lru')
  const [head, tail] = store('a', 2)
  directory.removeCopy(head as Block, 'hbm', 'damaged')
  directory.checkIntegrity()
  store('a', 1)
  directory.checkIntegrity()
  t.is(directory.orders.hbm.first(() => true)?.key, tail?.key)
})

type Step = readonly [what: 'store' | 'evict' | 'want' | 'use', chain: number, length: number]
const anySteps = fc.array(
  fc.tuple(fc.constantFrom('store', 'evict', 'want', 'use') as fc.Arbitrary<Step[0]>, fc.nat(4), fc.integer({ min: 1, max: 4 })),
  { maxLength: 40 },
)

/** Ranks that change with time alone are looked at now and then; what the queue wants must be right every time. */
function ranksBefore({ policy }: Directory, a: Block, b: Block): boolean {
  return policy.drifts ? a.firstWanted > b.firstWanted : policy.goesBefore(a, b)
}

for (const policy of policyNames) {
  test(`${policy}: no leaf that may go ranks before the victim, whatever happened before`, t => {
    fc.assert(
      fc.property(anySteps, steps => {
        const { directory, store } = playground(policy)
        const wanted = new Map<Block, number>()
        const mayGo = (block: Block) => block.key.charCodeAt(0) % 3 !== 0
        for (const [what, chain, length] of steps) {
          const block = [...directory.inTier.hbm][(chain * 5 + length) % Math.max(1, directory.inTier.hbm.size)]
          if (what === 'store' && directory.pools.hbm.free >= length) store('abcde'[chain] as string, length)
          if (what === 'want' && block && !wanted.has(block)) {
            block.want(length)
            wanted.set(block, length)
          }
          if (what === 'use' && block) directory.use(block, directory.policy.begin({ atMs: 0, newTokens: length }))
          if (what !== 'evict') continue
          const leaves = [...directory.inTier.hbm].filter(block => mayGo(block) && (block.copies.hbm.children === 0 || policy === 'fifo'))
          const victim = directory.orders.hbm.first(mayGo)
          // Blocks used in the same instant may rank alike: any of them is a first one.
          if (!victim) t.deepEqual(names(leaves), [])
          else t.true(leaves.includes(victim) && !leaves.some(leaf => ranksBefore(directory, leaf, victim)))
          if (victim) directory.removeCopy(victim, 'hbm', 'evicted')
          directory.checkIntegrity()
        }
      }),
    )
  })
}
