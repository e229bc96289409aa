// Blocks by parent key, with their token ids, so that a match can end inside a block.

import type { BlockKey, SlotTierName } from '../engine/types.js'
import type { Block } from './block.js'
import type { Pace } from './pace.js'
import { SiblingTree, type Found } from './sibling-tree.js'
import { commonTokens } from './token-order.js'

export class ChildIndex {
  /** Most blocks have no sibling, and need no tree. */
  readonly #children = new Map<BlockKey, Block | SiblingTree>()

  add(block: Block): void {
    const known = this.#children.get(block.parent)
    if (known instanceof SiblingTree) return known.add(block)
    if (known === block) return
    const siblings = known ? new SiblingTree() : block
    if (siblings instanceof SiblingTree) for (const sibling of [known as Block, block]) siblings.add(sibling)
    this.#children.set(block.parent, siblings)
  }

  remove(block: Block): void {
    const known = this.#children.get(block.parent)
    if (known === block) this.#children.delete(block.parent)
    if (!(known instanceof SiblingTree)) return
    known.remove(block)
    const [last] = known.size === 1 ? known : []
    if (last) this.#children.set(block.parent, last)
  }

  *of(parent: BlockKey): Iterable<Block> {
    const known = this.#children.get(parent)
    if (known instanceof SiblingTree) yield* known
    else if (known) yield known
  }

  /** The bytes of one of the block's copies are complete, or no longer there. */
  review(block: Block): void {
    const known = this.#children.get(block.parent)
    if (known instanceof SiblingTree) known.review(block)
  }

  /** A copy of the block came (1) or went (-1). */
  count(block: Block, tier: SlotTierName, change: 1 | -1): void {
    const known = this.#children.get(block.parent)
    if (known instanceof SiblingTree) known.count(tier, change)
  }

  /** Children with a copy in the tier, filling or present. */
  copies(parent: BlockKey, tier: SlotTierName): number {
    const known = this.#children.get(parent)
    if (known instanceof SiblingTree) return known.copies(tier)
    return known && known.copies[tier].state !== 'absent' ? 1 : 0
  }

  /**
   * The child with complete bytes that shares the most leading tokens; at equal length the one in the faster tier.
   * `isUsable` is asked last, of a few at most: whether its rows were computed from what the asker sees.
   */
  best(parent: BlockKey, tokens: Uint32Array, isUsable: (block: Block) => boolean): Found | null {
    const known = this.#children.get(parent)
    if (known instanceof SiblingTree) return known.best(tokens, isUsable)
    if (!known || known.tier === null) return null
    const rows = commonTokens(known.tokens, tokens)
    return rows > 0 && isUsable(known) ? { block: known, rows } : null
  }

  /** Siblings of the block that are shorter, and that it begins with; the longest first. */
  beginningsOf(block: Block): Block[] {
    const known = this.#children.get(block.parent)
    if (known instanceof SiblingTree) return known.beginningsOf(block.tokens)
    const isBeginning = known && known.valid < block.valid && commonTokens(known.tokens, block.tokens) === known.valid
    return isBeginning ? [known] : []
  }

  /** Throws unless exactly `blocks` are indexed, each under its parent. Stops after every piece. */
  *check(blocks: ReadonlyMap<BlockKey, Block>, pace: Pace): Iterable<void> {
    let count = 0
    for (const [parent, siblings] of this.#children) {
      if (siblings instanceof SiblingTree) yield* siblings.check(pace)
      for (const block of this.of(parent)) {
        count++
        if (block.parent !== parent) throw new Error('a block is indexed under a key that is not its parent')
        if (blocks.get(block.key) !== block) throw new Error('a child is not in the directory')
        if (pace.isOver) yield
      }
    }
    if (count !== blocks.size) throw new Error(`${blocks.size} blocks, but ${count} children`)
  }
}
