// Asks the placement policy for victims of one tier, a batch at a time.

import type { PlacementPolicy } from '../placement/types.js'
import type { Block } from './block.js'

/** How many victims are asked for at once: choosing walks the whole tier, so one at a time would be quadratic. */
const BATCH = 32

interface Chosen {
  readonly block: Block
  readonly lastUse: number
  readonly firstWanted: number
}

export class Evictor {
  #chosen: Chosen[] = []

  constructor(
    readonly policy: PlacementPolicy,
    readonly residents: ReadonlySet<Block>,
    readonly mayGo: (block: Block) => boolean,
  ) {}

  /** The next block to give up, or null. A choice made earlier is dropped if the block was used or wanted since. */
  next(): Block | null {
    for (let attempt = 0; attempt < 2; attempt++) {
      for (let chosen = this.#chosen.shift(); chosen; chosen = this.#chosen.shift()) {
        if (this.#stillStands(chosen)) return chosen.block
      }
      this.#chosen = this.policy
        .victims(this.#candidates(), BATCH)
        .map(block => ({ block, lastUse: block.lastUse, firstWanted: block.firstWanted }))
    }
    return null
  }

  *#candidates(): Iterable<Block> {
    for (const block of this.residents) if (this.mayGo(block)) yield block
  }

  #stillStands({ block, lastUse, firstWanted }: Chosen): boolean {
    return (
      this.residents.has(block) && this.mayGo(block) && block.lastUse === lastUse && block.firstWanted === firstWanted
    )
  }
}
