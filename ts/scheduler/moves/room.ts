// Makes room: a free slot, or the slot of a block that placement gives up.

import type { Block } from '../../directory/block.js'
import { Evictor } from '../../directory/evictor.js'
import type { Reservation } from '../../directory/reservation.js'
import type { SlotTierName } from '../../engine/types.js'
import { perSlotTier, SLOT_TIERS } from '../../protocol/tiers.js'
import { isSaved, type Core } from '../core/core.js'

type MayGo = (block: Block) => boolean

/** For what a slot is taken. */
export interface Claim {
  /**
   * `now`: something cannot go on without it. `later`: it would only be good to have, so of hbm nothing goes that is not
   * saved, and a refusal of dram hurries no flush.
   */
  readonly for: 'now' | 'later'
  /** Which of the blocks that may go may go for this. @default all of them */
  readonly mayTake?: MayGo
}

const NOW: Claim = { for: 'now' }

/**
 * The rules by which a block may leave a tier for a claim, in order of preference: the next rule is asked only when nothing
 * may go by the one before.
 */
type Rules = Readonly<Record<Claim['for'], readonly MayGo[]>>

function always(rule: MayGo): Rules {
  return { now: [rule], later: [rule] }
}

export class Room {
  readonly #core: Core
  readonly #evictors: Readonly<Record<SlotTierName, Evictor>>
  readonly #rules: Readonly<Record<SlotTierName, Rules>>
  /** A dram slot was asked for in vain since the last flush of the ssd tier. */
  #isDramShort = false
  /** Arrival number of the last request inside the eviction window: what it or an older one wants is not lost. */
  #windowEnd = Infinity
  /** Decisions under way for which what the window wants may be lost. */
  #lastResorts = 0

  constructor(core: Core) {
    this.#core = core
    const { directory } = core
    this.#evictors = perSlotTier(tier => new Evictor(directory, tier))
    const safe: MayGo = block => this.#isIdle(block, 'hbm') && this.#isSafeToDrop(block)
    const unsaved: MayGo = block => this.#isIdle(block, 'hbm') && this.#mayGoUnsaved(block)
    const saved: MayGo = block => this.#isIdle(block, 'hbm') && isSaved(block)
    const own: Partial<Record<SlotTierName, Rules>> = {
      hbm: { now: [safe, unsaved], later: [saved] },
      dram: always(block => this.#mayLeaveDram(block)),
    }
    this.#rules = perSlotTier(tier => own[tier] ?? always(block => this.#isIdle(block, tier) && !this.#isProtected(block, tier)))
    core.events.on('dramRefused', () => (this.#isDramShort = true))
    core.events.on('flushing', () => (this.#isDramShort = false))
  }

  get isDramShort(): boolean {
    return this.#isDramShort
  }

  /** From now on nothing is lost that request `ticket` or an older one wants. */
  protectUpTo(ticket: number): void {
    this.#windowEnd = ticket
  }

  /** Nothing else can go on: while `decide` runs, what the window wants may be lost after all. */
  asLastResort(decide: () => void): void {
    this.#lastResorts++
    try {
      decide()
    } finally {
      this.#lastResorts--
    }
  }

  /** A slot of the tier, by eviction if need be; null: nothing may go for it now. */
  take(tier: SlotTierName, claim: Claim = NOW): Reservation | null {
    const free = this.#core.directory.reserve(tier)
    if (free) return free
    // A tier grows before it gives anything up.
    if (this.#core.growth.need(tier, 1)) return null
    const { mayTake } = claim
    for (const rule of this.#rules[tier][claim.for]) {
      const victim = this.#evictors[tier].next(mayTake ? block => mayTake(block) && rule(block) : rule)
      if (!victim) continue
      this.#evict(victim, tier)
      const slot = this.#core.directory.reserve(tier)
      if (slot) return slot
    }
    if (tier === 'dram' && claim.for === 'now') this.#core.events.emit('dramRefused')
    return null
  }

  /** Whether `count` slots of hbm could be had now. */
  hasHbm(count: number): boolean {
    let lacking = count - this.#core.directory.pools.hbm.free
    if (lacking <= 0) return true
    if (this.#core.growth.need('hbm', count)) return false
    for (const block of this.#core.directory.inTier.hbm) {
      const mayGo = this.#isIdle(block, 'hbm') && (this.#isSafeToDrop(block) || this.#mayGoUnsaved(block))
      if (mayGo && --lacking === 0) return true
    }
    return false
  }

  /** A slot of hbm becomes available as soon as something in flight has ended. */
  get isHbmOnItsWay(): boolean {
    const { pools, inTier } = this.#core.directory
    if (pools.hbm.cooling > 0 || this.#core.growth.isGrowing) return true
    for (const block of inTier.hbm) {
      if (block.refs > 0) continue
      const isBusy = !pools.hbm.isIdle(block.copies.hbm.slot)
      if (isBusy || (!this.#isDramShort && !this.#isSafeToDrop(block))) return true
    }
    return false
  }

  #evict(block: Block, tier: SlotTierName): void {
    const { directory, counters, tiers } = this.#core
    const isUnsaved = tier === 'hbm' && tiers.saves && !isSaved(block) && !block.releasable
    const cause = isUnsaved ? 'write_queue_full' : 'evicted'
    directory.removeCopy(block, tier, cause)
    if (block.gone) counters.dropped[cause]++
    else if (tier === 'ssd' || !tiers.ssd) block.releasable = true
  }

  #isIdle(block: Block, tier: SlotTierName): boolean {
    if (!block.has(tier) || (tier === 'hbm' && block.refs > 0)) return false
    return this.#core.directory.pools[tier].isIdle(block.copies[tier].slot)
  }

  /** Its bytes are below, or nothing below would take them. */
  #isSafeToDrop(block: Block): boolean {
    if (!this.#core.tiers.saves || isSaved(block)) return true
    return block.releasable && !this.#isProtected(block, 'hbm')
  }

  /** Compute never waits for the ssd: a block that no request wants is dropped, but only while dram cannot take it. */
  #mayGoUnsaved(block: Block): boolean {
    return this.#isDramShort && (block.wants === 0 || this.#lastResorts > 0)
  }

  /** Nothing leaves dram before its copy on ssd is durable. */
  #mayLeaveDram(block: Block): boolean {
    if (!this.#isIdle(block, 'dram') || this.#isProtected(block, 'dram')) return false
    return !this.#core.tiers.ssd || block.durable || block.releasable
  }

  /** A request inside the eviction window wants the block, and no other tier has it. */
  #isProtected(block: Block, tier: SlotTierName): boolean {
    if (block.wants === 0 || block.firstWanted > this.#windowEnd || this.#lastResorts > 0) return false
    return SLOT_TIERS.every(other => other === tier || !block.has(other))
  }
}
