// Blocks by parent key, with their token ids, so that a match can end inside a block.

import type { BlockKey } from '../engine/types.js'
import type { Block } from './block.js'

/** Leading tokens that `tokens` and `block` have in common. */
export function commonTokens(block: Uint32Array, tokens: Uint32Array): number {
  const most = Math.min(block.length, tokens.length)
  let same = 0
  while (same < most && block[same] === tokens[same]) same++
  return same
}

export class ChildIndex {
  readonly #children = new Map<BlockKey, Set<Block>>()

  add(block: Block): void {
    const siblings = this.#children.get(block.parent)
    if (siblings) siblings.add(block)
    else this.#children.set(block.parent, new Set([block]))
  }

  remove(block: Block): void {
    const siblings = this.#children.get(block.parent)
    siblings?.delete(block)
    if (siblings?.size === 0) this.#children.delete(block.parent)
  }

  of(parent: BlockKey): Iterable<Block> {
    return this.#children.get(parent) ?? []
  }

  /**
   * The child with complete bytes that shares the most leading tokens; at equal length the one in the faster tier.
   * `isUsable` is asked last: whether its rows were computed from what the asker sees.
   */
  best(parent: BlockKey, tokens: Uint32Array, isUsable: (block: Block) => boolean): { block: Block; rows: number } | null {
    let best: { block: Block; rows: number } | null = null
    for (const block of this.of(parent)) {
      if (block.tier === null) continue
      const rows = commonTokens(block.tokens, tokens)
      if (rows === 0 || !isUsable(block)) continue
      if (best === null || rows > best.rows || (rows === best.rows && isBetterSource(block, best.block))) best = { block, rows }
    }
    return best
  }

  /** Throws unless exactly `blocks` are indexed, each under its parent. */
  checkIntegrity(blocks: ReadonlyMap<BlockKey, Block>): void {
    let count = 0
    for (const [parent, siblings] of this.#children) {
      for (const block of siblings) {
        count++
        if (block.parent !== parent) throw new Error('a block is indexed under a key that is not its parent')
        if (blocks.get(block.key) !== block) throw new Error('a child is not in the directory')
      }
    }
    if (count !== blocks.size) throw new Error(`${blocks.size} blocks, but ${count} children`)
  }
}

/** A partly filled block in hbm can be extended in place, so at equal length the one with fewer rows is preferred. */
function isBetterSource(a: Block, b: Block): boolean {
  const aIsHot = a.has('hbm')
  if (aIsHot !== b.has('hbm')) return aIsHot
  const aIsWarm = a.has('dram')
  if (aIsWarm !== b.has('dram')) return aIsWarm
  return a.valid < b.valid
}
