// Makes room: a free slot, or the slot of a block that placement gives up.

import { TIERS, type Block } from '../../directory/block.js'
import { Evictor } from '../../directory/evictor.js'
import type { TierName } from '../../engine/types.js'
import { isSaved, type Core } from '../core/core.js'

export class Room {
  readonly #core: Core
  /** In order of preference: the next list is asked only when the one before has nothing. */
  readonly #evictors: Readonly<Record<TierName, readonly Evictor[]>>
  /** A dram slot was asked for in vain since the last flush of the ssd tier. */
  isDramShort = false
  /** Arrival number of the last request inside the eviction window: what it or an older one wants is not lost. */
  windowEnd = Infinity
  /** Nothing else can go on: what the window wants may be lost after all. */
  isLastResort = false
  readonly #ahead: Evictor
  readonly #spare: Evictor
  readonly #beside: Evictor
  /** For whom `#ahead` looks. */
  #ticket = Infinity
  /** Not given up by `#beside`. */
  #spared: ReadonlySet<Block> = new Set()
  /** Versions at which `#ahead` and `#spare` had nothing: walking a tier again before it changes would be in vain. */
  #aheadRefusedAt = -1
  #spareRefusedAt = -1

  constructor(core: Core) {
    this.#core = core
    const evictor = (tier: TierName, mayGo: (block: Block) => boolean) => new Evictor(core.directory, tier, mayGo)
    this.#evictors = {
      hbm: [
        evictor('hbm', block => this.#isIdle(block, 'hbm') && this.#isSafeToDrop(block)),
        evictor('hbm', block => this.#isIdle(block, 'hbm') && this.#mayGoUnsaved(block)),
      ],
      dram: [evictor('dram', block => this.#mayLeaveDram(block))],
      ssd: [evictor('ssd', block => this.#isIdle(block, 'ssd') && !this.#isProtected(block, 'ssd'))],
    }
    this.#ahead = evictor('dram', block => block.firstWanted > this.#ticket && this.#mayLeaveDram(block))
    this.#beside = evictor('dram', block => block.wants === 0 && !this.#spared.has(block) && this.#mayLeaveDram(block))
    this.#spare = evictor('hbm', block => block.wants === 0 && this.#isIdle(block, 'hbm') && isSaved(block))
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

  /** A dram slot for what request `ticket` will want; nothing that it or an older one wants is given up for it. */
  takeAhead(ticket: number): number {
    const { directory } = this.#core
    const free = directory.reserve('dram')
    if (free >= 0 || this.#aheadRefusedAt === directory.pools.dram.version) return free
    this.#ticket = ticket
    const victim = this.#ahead.next()
    if (victim) this.#evict(victim, 'dram')
    else this.#aheadRefusedAt = directory.pools.dram.version
    return victim ? directory.reserve('dram') : -1
  }

  /** A dram slot for what no request has asked for: nothing that one wants is given up for it, nor any of `spared`. */
  takeBeside(spared: ReadonlySet<Block>): number {
    const { directory } = this.#core
    const free = directory.reserve('dram')
    if (free >= 0) return free
    this.#spared = spared
    const victim = this.#beside.next()
    if (victim) this.#evict(victim, 'dram')
    return victim ? directory.reserve('dram') : -1
  }

  /** An hbm slot that neither a running nor a waiting request needs; -1: there is none. */
  takeSpare(): number {
    const { directory } = this.#core
    const free = directory.reserve('hbm')
    if (free >= 0 || this.#spareRefusedAt === directory.pools.hbm.version) return free
    const victim = this.#spare.next()
    if (victim) this.#evict(victim, 'hbm')
    else this.#spareRefusedAt = directory.pools.hbm.version
    return victim ? directory.reserve('hbm') : -1
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
    if (!this.#core.tiers.saves || isSaved(block)) return true
    return block.releasable && !this.#isProtected(block, 'hbm')
  }

  /** Compute never waits for the ssd: what nobody wants is dropped, but only while dram cannot take it. */
  #mayGoUnsaved(block: Block): boolean {
    return this.isDramShort && (block.wants === 0 || this.isLastResort)
  }

  /** Nothing leaves dram before its copy on ssd is durable. */
  #mayLeaveDram(block: Block): boolean {
    if (!this.#isIdle(block, 'dram') || this.#isProtected(block, 'dram')) return false
    return !this.#core.tiers.ssd || block.durable || block.releasable
  }

  /** A request inside the eviction window wants the block, and no other tier has it. */
  #isProtected(block: Block, tier: TierName): boolean {
    if (block.wants === 0 || block.firstWanted > this.windowEnd || this.isLastResort) return false
    return TIERS.every(other => other === tier || !block.has(other))
  }
}
