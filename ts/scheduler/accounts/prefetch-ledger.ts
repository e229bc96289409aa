// The fate of prefetched blocks: used in time, or gone before that.

import type { Block } from '../../directory/block.js'

export class PrefetchLedger {
  readonly #unused = new Set<Block>()
  #hits = 0
  #wasted = 0

  /** The block was brought into dram ahead of need. */
  fetched(block: Block): void {
    if (this.#unused.has(block)) this.#wasted++
    this.#unused.add(block)
  }

  /** A request takes the block into its table. */
  used(block: Block): void {
    if (this.#unused.delete(block)) this.#hits++
  }

  /** Blocks that were used, and blocks that left memory before anybody used them. */
  counts(): { readonly hits: number; readonly wasted: number } {
    for (const block of this.#unused) {
      if (block.has('dram') || block.has('hbm')) continue
      this.#unused.delete(block)
      this.#wasted++
    }
    return { hits: this.#hits, wasted: this.#wasted }
  }
}
