// What an operator, or time, does to the cache: demote, reset, drop what is idle too long.

import type { Block } from '../directory/block.js'
import type { LossCause } from '../directory/ghosts.js'
import { SLOT_TIERS, tiersAbove, type LowerTierName, type SlotTierName } from '../protocol/tiers.js'
import { ApiError } from '../protocol/errors.js'
import type { Core } from '../scheduler/core/core.js'
import type { Scheduler } from '../scheduler/loop/scheduler.js'
import type { DemoteReceipt, ResetReceipt } from './types.js'

/** What was done in memory. */
type Demoted = Omit<DemoteReceipt, 'durable'>
type Dropped = Omit<ResetReceipt, 'durable'>

export class CacheControls {
  readonly #core: Core
  readonly #scheduler: Scheduler
  /** Resolves at the next end of a step or transfer. */
  readonly #nextChange: () => Promise<void>

  constructor(core: Core, scheduler: Scheduler, nextChange: () => Promise<void>) {
    this.#core = core
    this.#scheduler = scheduler
    this.#nextChange = nextChange
  }

  /**
   * Removes copies above `to`, of some blocks or of all, once they are durable at or below it. Blocks in use are skipped.
   */
  async demote(to: LowerTierName, blocks: Iterable<Block> = this.#core.directory.blocks.values()): Promise<Demoted> {
    if (!this.#core.tiers[to]) throw new ApiError('tier_disabled', `The ${to} tier is off.`, 'to', { tier: to })
    const above = tiersAbove(to)
    const pending = new Set<Block>()
    for (const block of blocks) if (above.some(tier => block.copies[tier].state !== 'absent')) pending.add(block)
    const endHurry = this.#scheduler.moves.hurry()
    try {
      return await this.#demoteAll(pending, to, above)
    } finally {
      endHurry()
    }
  }

  async #demoteAll(pending: Set<Block>, to: LowerTierName, above: readonly SlotTierName[]): Promise<Demoted> {
    let demotedBlocks = 0
    let skippedInUse = 0
    for (;;) {
      for (const block of pending) {
        const outcome = this.#demoteNow(block, to, above)
        if (outcome === 'pending') continue
        pending.delete(block)
        if (outcome === 'demoted') demotedBlocks++
        else skippedInUse++
      }
      this.#scheduler.pump()
      // Nothing under way: what is still pending finds no room below.
      if (pending.size === 0 || !this.#scheduler.isMoving) break
      await this.#nextChange()
    }
    return { demotedBlocks, skippedInUse: skippedInUse + pending.size }
  }

  /** Drops every block that nothing uses, in all tiers. */
  reset(): Dropped {
    return this.#drop('reset', () => true)
  }

  /** Drops the blocks that no turn touched since `before`. */
  dropIdle(before: number): Dropped {
    return this.#drop('ttl', block => block.lastUse < before)
  }

  #drop(cause: LossCause, isMeant: (block: Block) => boolean): Dropped {
    const { directory, counters } = this.#core
    let removedBlocks = 0
    let skippedInUse = 0
    for (const block of [...directory.blocks.values()]) {
      if (!isMeant(block)) continue
      if (isInUse(block)) {
        skippedInUse++
        continue
      }
      for (const tier of SLOT_TIERS) directory.removeCopy(block, tier, cause)
      removedBlocks++
    }
    counters.dropped[cause] += removedBlocks
    this.#scheduler.pump()
    return { removedBlocks, skippedInUse }
  }

  #demoteNow(block: Block, to: LowerTierName, above: readonly SlotTierName[]): 'demoted' | 'pending' | 'skipped' {
    if (block.gone || isInUse(block)) return isFilling(block) && block.refs === 0 ? 'pending' : 'skipped'
    const isBelow = block.durable || (to === 'dram' && block.has('dram'))
    if (!isBelow) {
      this.#scheduler.moves.lower(block)
      return block.releasable ? 'skipped' : 'pending'
    }
    for (const tier of above) this.#core.directory.removeCopy(block, tier)
    return 'demoted'
  }
}

/** A sequence uses it, or a transfer fills one of its copies. */
function isInUse(block: Block): boolean {
  return block.refs > 0 || block.wants > 0 || isFilling(block)
}

function isFilling(block: Block): boolean {
  return SLOT_TIERS.some(tier => block.copies[tier].state === 'filling')
}
