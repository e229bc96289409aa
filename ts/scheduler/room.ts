// Makes room: a free slot, or the slot of a block that placement gives up.

import type { Block } from '../directory/block.js'
import { Evictor } from '../directory/evictor.js'
import type { TierName } from '../engine/types.js'
import { policyNamed } from '../placement/registry.js'
import { isSaved, type Core } from './core.js'

export class Room {
  readonly #core: Core
  /** In order of preference: the next list is asked only when the one before has nothing. */
  readonly #evictors: Readonly<Record<TierName, readonly Evictor[]>>
  /** A dram slot was asked for in vain since the last flush of the ssd tier. */
  isDramShort = false

  constructor(core: Core) {
    this.#core = core
    const policy = policyNamed(core.options.policy)
    const { inTier } = core.directory
    this.#evictors = {
      hbm: [
        new Evictor(policy, inTier.hbm, block => this.#isIdle(block, 'hbm') && this.#isSafeToDrop(block)),
        new Evictor(policy, inTier.hbm, block => this.#isIdle(block, 'hbm') && this.#mayGoUnsaved(block)),
      ],
      dram: [new Evictor(policy, inTier.dram, block => this.#isIdle(block, 'dram') && this.#mayLeaveDram(block))],
      ssd: [new Evictor(policy, inTier.ssd, block => this.#isIdle(block, 'ssd'))],
    }
  }

  /** A reserved slot of the tier, by eviction if need be; -1: nothing may go now. */
  take(tier: TierName): number {
    const free = this.#core.directory.reserve(tier)
    if (free >= 0) return free
    for (const evictor of this.#evictors[tier]) {
      const victim = evictor.next()
      if (!victim) continue
      this.#evict(victim, tier)
      const slot = this.#core.directory.reserve(tier)
      if (slot >= 0) return slot
    }
    if (tier === 'dram') this.isDramShort = true
    return -1
  }

  /** Whether `count` slots of hbm could be had now. */
  hasHbm(count: number): boolean {
    let lacking = count - this.#core.directory.pools.hbm.free
    if (lacking <= 0) return true
    for (const block of this.#core.directory.inTier.hbm) {
      const mayGo = this.#isIdle(block, 'hbm') && (this.#isSafeToDrop(block) || this.#mayGoUnsaved(block))
      if (mayGo && --lacking === 0) return true
    }
    return false
  }

  /** A slot of hbm becomes available as soon as something in flight has ended. */
  get isHbmOnItsWay(): boolean {
    const { pools, inTier } = this.#core.directory
    if (pools.hbm.cooling > 0) return true
    for (const block of inTier.hbm) {
      if (block.refs > 0) continue
      const isBusy = !pools.hbm.isIdle(block.copies.hbm.slot)
      if (isBusy || (!this.isDramShort && !this.#isSafeToDrop(block))) return true
    }
    return false
  }

  #evict(block: Block, tier: TierName): void {
    const { directory, counters, tiers } = this.#core
    const isUnsaved = tier === 'hbm' && tiers.saves && !isSaved(block) && !block.releasable
    const cause = isUnsaved ? 'write_queue_full' : 'evicted'
    directory.removeCopy(block, tier, cause)
    if (block.gone) counters.dropped[cause]++
    else if (tier === 'ssd' || !tiers.ssd) block.releasable = true
  }

  #isIdle(block: Block, tier: TierName): boolean {
    if (!block.has(tier) || (tier === 'hbm' && block.refs > 0)) return false
    return this.#core.directory.pools[tier].isIdle(block.copies[tier].slot)
  }

  /** Its bytes are below, or nothing below would take them. */
  #isSafeToDrop(block: Block): boolean {
    return !this.#core.tiers.saves || isSaved(block) || block.releasable
  }

  /** Compute never waits for the ssd: what nobody wants is dropped, but only while dram cannot take it. */
  #mayGoUnsaved(block: Block): boolean {
    return block.wants === 0 && this.isDramShort
  }

  /** Nothing leaves dram before its copy on ssd is durable. */
  #mayLeaveDram(block: Block): boolean {
    return !this.#core.tiers.ssd || block.durable || block.releasable
  }
}
