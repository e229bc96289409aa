// The next victim of one tier: the first leaf in the policy's order that may go.

import type { SlotTierName } from '../engine/types.js'
import type { Block } from './block.js'
import type { Directory } from './directory.js'

export class Evictor {
  readonly #directory: Directory
  readonly #tier: SlotTierName

  constructor(directory: Directory, tier: SlotTierName) {
    this.#directory = directory
    this.#tier = tier
  }

  /**
   * The block to give up of those that may go, or null: before everything else what no conversation sees any more,
   * whatever the policy. A leaf that has to stay must not hold up the whole chain before it: if no leaf may go, any other
   * block that may does.
   */
  next(mayGo: (block: Block) => boolean): Block | null {
    const left = this.#leftBehind(mayGo)
    if (left) return left
    const leaf = this.#directory.orders[this.#tier].first(mayGo)
    return leaf ?? this.#directory.policy.victims(this.#others(mayGo), 1)[0] ?? null
  }

  #leftBehind(mayGo: (block: Block) => boolean): Block | null {
    const left = this.#directory.leftBehind[this.#tier]
    for (const block of left) {
      if (block.reachable) left.delete(block)
      else if (mayGo(block)) return block
    }
    return null
  }

  *#others(mayGo: (block: Block) => boolean): Iterable<Block> {
    for (const block of this.#directory.inTier[this.#tier]) if (mayGo(block)) yield block
  }
}
