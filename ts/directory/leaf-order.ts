// In which order the blocks of one tier would go. A head without its tail still serves and a tail without its head never
// does, so the order is over leaves: blocks that no other one in the tier continues. Uses and wishes need not be told: a
// rank is looked at again when its turn comes.

import type { SlotTierName } from '../engine/types.js'
import type { Cohort } from '../placement/adaptive/cohorts.js'
import { BlockHeap, type Heaped } from '../placement/heap.js'
import type { Experienced, PlacementPolicy } from '../placement/types.js'
import type { Block } from './block.js'
import type { Pace } from './pace.js'

/** All ranks are made anew when this share of the leaves has been given up, or this many. */
const RENEW_SHARE = 1 / 8
const RENEW_EVERY = 32
/** Leaves that may not go now, before the one that may: with more, looking through all is faster. */
const MOST_VISITS = 64

/** A block with the rank that it had when it was last looked at. */
class Leaf implements Experienced, Heaped {
  heapAt = -1
  lastUse = 0
  firstWanted = Infinity
  uses = 0
  cohort: Cohort | null = null
  readonly index: number
  readonly born: number

  constructor(readonly block: Block) {
    this.index = block.index
    this.born = block.born
    this.renew()
  }

  /** True: the block's rank had changed. */
  renew(): boolean {
    const { lastUse, firstWanted, cohort } = this.block
    if (lastUse === this.lastUse && firstWanted === this.firstWanted && cohort === this.cohort) return false
    this.lastUse = lastUse
    this.firstWanted = firstWanted
    this.cohort = cohort
    return true
  }
}

export class LeafOrder {
  readonly #tier: SlotTierName
  readonly #policy: PlacementPolicy<Experienced>
  readonly #leaves = new Map<Block, Leaf>()
  readonly #heap: BlockHeap<Leaf>
  #givenUp = 0

  constructor(tier: SlotTierName, policy: PlacementPolicy<Experienced>) {
    this.#tier = tier
    this.#policy = policy
    this.#heap = new BlockHeap<Leaf>(policy.goesBefore)
  }

  /** The block came, went, is used or no longer used by a sequence, or got or lost what continues it. */
  review(block: Block): void {
    const leaf = this.#leaves.get(block)
    if (this.#isLeaf(block)) {
      if (!leaf) this.#add(block)
    } else if (leaf) {
      this.#leaves.delete(block)
      this.#heap.remove(leaf)
      this.#givenUp++
    }
  }

  /** The first leaf that may go; null: none may. It stays in the order until its copy is removed. */
  first(mayGo: (block: Block) => boolean): Block | null {
    if (this.#givenUp >= Math.max(RENEW_EVERY, this.#heap.size * RENEW_SHARE)) this.#renewAll()
    for (;;) {
      // A leaf whose rank has changed ends the search: it is moved to where it belongs, and another may be first now.
      let moved = false
      const found = this.#heap.firstWhere(leaf => (moved = leaf.renew()) || mayGo(leaf.block), MOST_VISITS)
      if (!found) break
      if (!moved) return found.block
      this.#heap.fix(found)
    }
    this.#renewAll()
    return this.#heap.firstOfAll(leaf => mayGo(leaf.block))?.block ?? null
  }

  /** Throws unless exactly the leaves are in the order. Stops after every piece. */
  *check(residents: ReadonlySet<Block>, pace: Pace): Iterable<void> {
    let count = 0
    for (const block of residents) {
      if (pace.isOver) yield
      if (!this.#isLeaf(block)) continue
      count++
      if (!this.#leaves.has(block)) throw new Error(`${this.#tier}: a leaf is not in the order`)
    }
    if (count !== this.#leaves.size || count !== this.#heap.size) {
      throw new Error(`${this.#tier}: ${count} leaves, but ${this.#leaves.size} in the order, ${this.#heap.size} in its heap`)
    }
  }

  #isLeaf(block: Block): boolean {
    const { state, children } = block.copies[this.#tier]
    if (state === 'absent' || (this.#tier === 'hbm' && block.refs > 0)) return false
    return children === 0 || !this.#policy.leavesFirst
  }

  #add(block: Block): void {
    const leaf = new Leaf(block)
    this.#leaves.set(block, leaf)
    this.#heap.add(leaf)
  }

  #renewAll(): void {
    this.#givenUp = 0
    for (const leaf of this.#leaves.values()) leaf.renew()
    this.#heap.rebuild()
  }
}
