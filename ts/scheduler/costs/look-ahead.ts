// How far placement looks into the queue: as far as what its first requests come back to fits (arXiv 2403.19708,
// section 3.3: the capacity over the mean KV of a conversation).

/** Weight of the newest conversation. */
const NEWEST = 0.1

export class LookAhead {
  #meanBlocks = 0

  /** A request was queued that finds `blocks` blocks of its conversation. */
  queued(blocks: number): void {
    if (blocks === 0) return
    this.#meanBlocks = this.#meanBlocks === 0 ? blocks : this.#meanBlocks + NEWEST * (blocks - this.#meanBlocks)
  }

  /** How many of the queue's first requests come back to conversations that fit into `slots` together; at least 1. */
  length(slots: number): number {
    return this.#meanBlocks === 0 ? Infinity : Math.max(1, Math.floor(slots / this.#meanBlocks))
  }
}
