// Blocks that left their last tier: what a later miss is explained by, and what placement learnt of them while they were
// there. Keys are salted by tenant, so whoever knows a key may know what became of its block.

import type { BlockKey, TierName } from '../engine/types.js'
import type { History } from '../placement/types.js'

/** Why a block left its last tier. */
export type LossCause = 'evicted' | 'write_queue_full' | 'damaged' | 'reset' | 'ttl'

export interface Ghost {
  /** Milliseconds, as the clock says. */
  readonly at: number
  readonly cause: LossCause
  /** The tier that it was in last. */
  readonly tier: TierName
  /** The policy that chose it; null: nobody chose, it was removed. */
  readonly policy: string | null
  readonly history: History
}

export interface GhostOptions {
  /** Ghosts remembered at most; the oldest is forgotten first. */
  readonly capacity: number
  /** The policy that chooses victims. */
  readonly policy: string
  readonly now: () => number
}

/** Ghosts for each slot: of blocks that have been away longer, placement learns nothing more. */
const GHOSTS_A_SLOT = 5
/** About 60 MiB. */
const MOST_GHOSTS = 262_144

/** How many ghosts a cache of so many slots remembers. */
export function ghostCapacity(slots: Readonly<Record<TierName, number>>): number {
  return Math.min(MOST_GHOSTS, GHOSTS_A_SLOT * (slots.hbm + slots.dram + slots.ssd))
}

export class Ghosts {
  readonly #options: GhostOptions
  /** In the order in which they left. */
  readonly #ghosts = new Map<BlockKey, Ghost>()

  constructor(options: GhostOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#ghosts.size
  }

  /** What became of the block; undefined: it never left, came back, or left too long ago. */
  get(key: BlockKey): Ghost | undefined {
    return this.#ghosts.get(key)
  }

  /** The block is leaving `tier`, its last. */
  left(key: BlockKey, tier: TierName, cause: LossCause, { uses, cohort }: History): void {
    const { capacity, policy, now } = this.#options
    const isChosen = cause === 'evicted' || cause === 'write_queue_full'
    this.#ghosts.delete(key)
    this.#ghosts.set(key, { at: now(), cause, tier, policy: isChosen ? policy : null, history: { uses, cohort } })
    if (this.#ghosts.size > capacity) this.#ghosts.delete(this.#ghosts.keys().next().value as BlockKey)
  }

  /** The block is back: its ghost, which is one no longer. */
  returned(key: BlockKey): Ghost | undefined {
    const ghost = this.#ghosts.get(key)
    if (ghost) this.#ghosts.delete(key)
    return ghost
  }
}
