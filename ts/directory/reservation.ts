// A slot of a tier that belongs to the holder of this reservation: no block has it yet.

import type { SlotTierName } from '../engine/types.js'
import type { Block, CopyState } from './block.js'

/** Who keeps the slots: the directory. */
export interface SlotKeeper {
  adopt(block: Block, tier: SlotTierName, slot: number, state: Exclude<CopyState, 'absent'>): void
  unreserve(tier: SlotTierName, slot: number): void
}

/** Ends once: the slot becomes a block's copy, or is given back. */
export class Reservation {
  #keeper: SlotKeeper | null

  constructor(
    keeper: SlotKeeper,
    readonly tier: SlotTierName,
    readonly slot: number,
  ) {
    this.#keeper = keeper
  }

  /** The slot becomes the block's copy: filling, or present if its bytes are complete. */
  become(block: Block, state: Exclude<CopyState, 'absent'>): void {
    const keeper = this.#keeper
    if (!keeper) throw new Error(`${this.tier} slot ${this.slot} is not reserved any more`)
    this.#keeper = null
    keeper.adopt(block, this.tier, this.slot, state)
  }

  /** Gives the slot back, unless it has become a copy; it cools while something in flight names it. */
  dispose(): void {
    const keeper = this.#keeper
    this.#keeper = null
    keeper?.unreserve(this.tier, this.slot)
  }
}
