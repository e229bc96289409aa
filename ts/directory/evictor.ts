// The next victim of one tier: the first leaf in the policy's order that may go.

import type { TierName } from '../engine/types.js'
import type { Block } from './block.js'
import type { Directory } from './directory.js'

export class Evictor {
  readonly #directory: Directory
  readonly #tier: TierName
  readonly #mayGo: (block: Block) => boolean

  constructor(directory: Directory, tier: TierName, mayGo: (block: Block) => boolean) {
    this.#directory = directory
    this.#tier = tier
    this.#mayGo = mayGo
  }

  /**
   * The block to give up, or null: before everything else what no conversation sees any more, whatever the policy. A leaf
   * that has to stay must not hold up the whole chain before it: if no leaf may go, any other block that may does.
   */
  next(): Block | null {
    const left = this.#leftBehind()
    if (left) return left
    const leaf = this.#directory.orders[this.#tier].first(this.#mayGo)
    return leaf ?? this.#directory.policy.victims(this.#others(), 1)[0] ?? null
  }

  #leftBehind(): Block | null {
    const left = this.#directory.leftBehind[this.#tier]
    for (const block of left) {
      if (block.reachable) left.delete(block)
      else if (this.#mayGo(block)) return block
    }
    return null
  }

  *#others(): Iterable<Block> {
    for (const block of this.#directory.inTier[this.#tier]) if (this.#mayGo(block)) yield block
  }
}
