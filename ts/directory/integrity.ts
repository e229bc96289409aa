// The equations that must hold between the directory's tables at any time.

import { BLOCK_TOKENS, type BlockKey, type SlotTierName } from '../engine/types.js'
import { SLOT_TIERS } from '../protocol/tiers.js'
import type { Block } from './block.js'
import type { ChildIndex } from './children.js'
import type { LeafOrder } from './leaf-order.js'
import { Pace } from './pace.js'
import type { SlotPool } from './slots.js'
import type { BlockUsers } from './users.js'

/** The directory's tables, those by tier for each of them. */
export interface Tables {
  readonly blocks: ReadonlyMap<BlockKey, Block>
  readonly children: ChildIndex
  readonly users: BlockUsers
  readonly pools: Readonly<Record<SlotTierName, SlotPool>>
  readonly inTier: Readonly<Record<SlotTierName, ReadonlySet<Block>>>
  readonly reserved: Readonly<Record<SlotTierName, ReadonlySet<number>>>
  readonly orders: Readonly<Record<SlotTierName, LeafOrder>>
}

/**
 * Throws an Error that names the first equation that does not hold. Stops after every piece, so that a caller may look
 * after other things before it goes on; nothing may change in between.
 */
export function* checkDirectory(directory: Tables): Iterable<void> {
  const pace = new Pace()
  for (const tier of SLOT_TIERS) yield* checkTier(directory, tier, pace)
  for (const [key, block] of directory.blocks) {
    if (block.key !== key || block.gone) throw new Error('a key names a block that is not its own')
    checkBlock(block)
    if (pace.isOver) yield
  }
  yield* directory.children.check(directory.blocks, pace)
  for (const tier of SLOT_TIERS) yield* checkLeaves(directory, tier, pace)
  yield* directory.users.check(directory.blocks, pace)
}

/** free + cooling + retired + reserved + copies = committed, and every used slot has one owner. */
function* checkTier(directory: Tables, tier: SlotTierName, pace: Pace): Iterable<void> {
  const pool = directory.pools[tier]
  const owned = new Set<number>(directory.reserved[tier])
  for (const block of directory.inTier[tier]) {
    const { slot, state } = block.copies[tier]
    if (state === 'absent') throw new Error(`${tier}: a block without a copy is listed`)
    if (directory.blocks.get(block.key) !== block) throw new Error(`${tier}: slot ${slot} belongs to no key`)
    if (owned.has(slot)) throw new Error(`${tier}: slot ${slot} is owned twice`)
    owned.add(slot)
    if (pace.isOver) yield
  }
  for (const slot of owned) {
    if (!pool.isUsed(slot)) throw new Error(`${tier}: slot ${slot} is owned but not in use`)
    if (pace.isOver) yield
  }
  const sum = pool.free + pool.cooling + pool.retired + owned.size
  if (sum !== pool.committed) {
    throw new Error(`${tier}: ${pool.free} free + ${pool.cooling} cooling + ${pool.retired} retired + ${owned.size} owned ≠ ${pool.committed}`)
  }
}

/** Children are counted where they have a copy, and the order is over leaves. */
function* checkLeaves(directory: Tables, tier: SlotTierName, pace: Pace): Iterable<void> {
  for (const block of directory.blocks.values()) {
    const children = directory.children.copies(block.key, tier)
    const counted = block.copies[tier].children
    if (counted !== children) throw new Error(`${tier}: ${counted} children are counted, there are ${children}`)
    if (pace.isOver) yield
  }
  yield* directory.orders[tier].check(directory.inTier[tier], pace)
}

function checkBlock(block: Block): void {
  if (block.valid < 1 || block.valid > BLOCK_TOKENS) throw new Error(`a block of ${block.valid} tokens`)
  if (SLOT_TIERS.every(tier => block.copies[tier].state === 'absent')) throw new Error('a key has no bytes')
  if (block.refs < 0 || block.wants < 0) throw new Error('a negative count of references')
  if (block.refs > 0 && block.copies.hbm.state === 'absent') throw new Error('a sequence refers to a block outside hbm')
  if (block.wants === 0 && block.firstWanted !== Infinity) throw new Error('no request wants a block that is marked as wanted')
  if (block.durable && !block.has('ssd')) throw new Error('a block is durable without an ssd copy')
}
