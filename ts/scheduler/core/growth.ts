// Memory of the tiers, and their room on disk, asked for a step ahead of its use, so that a turn seldom waits for it.

import type { SlotPool } from '../../directory/slots.js'
import type { Engine, ExtentGivenUp, SlotTierName, TierCommitted } from '../../engine/types.js'
import { BLOCK_TOKENS } from '../../engine/types.js'
import type { DiskReport } from '../../protocol/disk.js'
import type { Fault } from '../../protocol/fault.js'
import { perSlotTier, SLOT_TIERS, TIERS } from '../../protocol/tiers.js'
import { stateOf } from './disk-watch.js'

/** Bytes that are free and present, at least, as long as a tier has more. */
const AHEAD_BYTES = 64 * 2 ** 20
/** Slots of ssd to be free ahead as long as that costs other models their blocks. */
const AHEAD_BESIDE_OTHERS = 16
/** Steps of the engine whose blocks fit what is free and present. */
const AHEAD_STEPS = 2

type Pools = Readonly<Record<SlotTierName, SlotPool>>

/** The code of a tier whose files take all bytes that they may. */
const AT_BOUND = 'kv_bound'

/** Who is told of tiers that stay smaller than they may be. */
export interface GrowthListeners {
  readonly onFault: (fault: Fault) => void
  /** Of the disk that the ssd tier grows on. */
  readonly onDisk: ((report: DiskReport) => void) | null
}

export class TierGrowth {
  readonly #engine: Pick<Engine, 'info' | 'grow'>
  readonly #pools: Pools
  readonly #listeners: GrowthListeners
  /** Slots to be free ahead of use. */
  readonly #ahead: Readonly<Record<SlotTierName, number>>
  /** Owners of foreign extents on the ssd. */
  readonly #others: Set<string>
  /** Slots that were asked for and have not all come; 0: none. */
  readonly #asked = perSlotTier(() => 0)
  /** Tiers that were refused more, and are not to ask again yet. */
  readonly #refused = new Set<SlotTierName>()
  /** Why a tier is short; said once. */
  readonly #short = new Map<SlotTierName, string>()

  constructor(engine: Pick<Engine, 'info' | 'grow'>, pools: Pools, listeners: GrowthListeners) {
    this.#engine = engine
    this.#pools = pools
    this.#listeners = listeners
    const { info } = engine
    this.#others = new Set(info.extents?.foreign.map(({ owner }) => owner))
    const stepSlots = AHEAD_STEPS * Math.ceil(info.maxBatchTokens / BLOCK_TOKENS)
    this.#ahead = perSlotTier(tier => Math.max(stepSlots, Math.ceil(AHEAD_BYTES / info[TIERS[tier].blockBytes])))
  }

  /** More of a tier is on its way: something will be reported. */
  get isGrowing(): boolean {
    return SLOT_TIERS.some(tier => this.#asked[tier] > 0)
  }

  /** Why the tier stays smaller than its bound; null: it does not. */
  shortageOf(tier: SlotTierName): string | null {
    return this.#short.get(tier) ?? null
  }

  /** Asks for more of each tier where less than a step's worth is free. */
  keepAhead(): void {
    for (const tier of SLOT_TIERS) {
      const { free, committed } = this.#pools[tier]
      const ahead = this.#aheadOf(tier)
      if (free < ahead) this.#ask(tier, committed + ahead)
    }
  }

  /** `count` free slots are needed now, and there are fewer. False: no more will come, others have to give way. */
  need(tier: SlotTierName, count: number): boolean {
    const { free, committed } = this.#pools[tier]
    this.#ask(tier, committed - free + count + this.#aheadOf(tier))
    return this.#asked[tier] > 0
  }

  told({ tier, slots, error, detail }: TierCommitted): void {
    const pool = this.#pools[tier]
    pool.commit(slots)
    if (error === undefined) {
      if (slots >= this.#asked[tier]) this.#asked[tier] = 0
      pool.isShort = false
      if (this.#short.delete(tier) && tier === 'ssd') this.#listeners.onDisk?.({ place: 'ssd', part: 'growth', state: 'ok', reason: null })
      return
    }
    this.#asked[tier] = 0
    this.#refused.add(tier)
    pool.isShort = true
    // No shortage: the books of the file system take a part of the tier's bound.
    if (this.#short.has(tier) || error === AT_BOUND) return
    const reason = `there is no ${TIERS[tier].isDurable ? 'room on the disk' : 'memory'} for more`
    this.#short.set(tier, detail ?? reason)
    const message = `the ${tier} tier stays at ${pool.total} blocks: ${reason}`
    this.#listeners.onFault({ message, code: error, context: detail === undefined ? {} : { detail } })
    if (tier !== 'ssd') return
    this.#listeners.onDisk?.({ place: 'ssd', part: 'growth', state: stateOf(error, detail) ?? 'failing', reason: detail ?? reason })
  }

  /** The end of another owner's extents is gone. */
  gaveUp({ owner, slotsLeft }: ExtentGivenUp): void {
    if (slotsLeft === 0) this.#others.delete(owner)
  }

  /** Tiers that were refused more ask again: there may be more by now, and that is to be known without a request too. */
  retry(): void {
    if (this.#refused.size === 0) return
    this.#refused.clear()
    this.keepAhead()
  }

  #aheadOf(tier: SlotTierName): number {
    return tier === 'ssd' && this.#others.size > 0 ? Math.min(AHEAD_BESIDE_OTHERS, this.#ahead.ssd) : this.#ahead[tier]
  }

  #ask(tier: SlotTierName, wanted: number): void {
    const pool = this.#pools[tier]
    const slots = Math.min(wanted, pool.most)
    if (this.#refused.has(tier) || slots <= pool.committed || slots <= this.#asked[tier]) return
    this.#asked[tier] = slots
    this.#engine.grow(tier, slots)
  }
}
