// Memory of the tiers, asked for a step ahead of its use, so that a turn seldom waits for it.

import type { SlotPool } from '../../directory/slots.js'
import type { Engine, TierCommitted, MemoryTierName } from '../../engine/types.js'
import { BLOCK_TOKENS } from '../../engine/types.js'
import { MEMORY_TIERS, perMemoryTier, TIERS } from '../../protocol/tiers.js'
import type { Fault } from '../../protocol/fault.js'

/** Memory that is free and present, at least, as long as a tier has more. */
const AHEAD_BYTES = 64 * 2 ** 20
/** Steps of the engine whose blocks fit what is free and present. */
const AHEAD_STEPS = 2

type Pools = Readonly<Record<MemoryTierName, SlotPool>>

export class TierGrowth {
  readonly #engine: Pick<Engine, 'info' | 'grow'>
  readonly #pools: Pools
  readonly #onFault: (fault: Fault) => void
  /** Slots to be free ahead of use. */
  readonly #ahead: Readonly<Record<MemoryTierName, number>>
  /** Slots that were asked for and have not all come; 0: none. */
  readonly #asked = perMemoryTier(() => 0)
  /** Tiers that were refused memory, and are not to ask again yet. */
  readonly #refused = new Set<MemoryTierName>()
  /** Tiers of which was said that they are short. */
  readonly #told = new Set<MemoryTierName>()

  constructor(engine: Pick<Engine, 'info' | 'grow'>, pools: Pools, onFault: (fault: Fault) => void) {
    this.#engine = engine
    this.#pools = pools
    this.#onFault = onFault
    const { info } = engine
    const stepSlots = AHEAD_STEPS * Math.ceil(info.maxBatchTokens / BLOCK_TOKENS)
    this.#ahead = perMemoryTier(tier => Math.max(stepSlots, Math.ceil(AHEAD_BYTES / info[TIERS[tier].blockBytes])))
  }

  /** Memory is on its way: something will be reported. */
  get isGrowing(): boolean {
    return MEMORY_TIERS.some(tier => this.#asked[tier] > 0)
  }

  /** Asks for more of each tier where less than a step's worth is free. */
  keepAhead(): void {
    for (const tier of MEMORY_TIERS) {
      const { free, committed } = this.#pools[tier]
      if (free < this.#ahead[tier]) this.#ask(tier, committed + this.#ahead[tier])
    }
  }

  /** `count` free slots are needed now, and there are fewer. False: no more memory will come, others have to give way. */
  need(tier: MemoryTierName, count: number): boolean {
    const { free, committed } = this.#pools[tier]
    this.#ask(tier, committed - free + count + this.#ahead[tier])
    return this.#asked[tier] > 0
  }

  told({ tier, slots, error, detail }: TierCommitted): void {
    const pool = this.#pools[tier]
    pool.commit(slots)
    if (error === undefined) {
      if (slots >= this.#asked[tier]) this.#asked[tier] = 0
      pool.isShort = false
      return
    }
    this.#asked[tier] = 0
    this.#refused.add(tier)
    pool.isShort = true
    if (this.#told.has(tier)) return
    this.#told.add(tier)
    const message = `the ${tier} tier stays at ${pool.total} blocks: there is no memory for more`
    this.#onFault({ message, code: error, context: detail === undefined ? {} : { detail } })
  }

  /** Tiers that were refused memory may ask again when they need some: there may be more by now. */
  retry(): void {
    this.#refused.clear()
  }

  #ask(tier: MemoryTierName, wanted: number): void {
    const pool = this.#pools[tier]
    const slots = Math.min(wanted, pool.most)
    if (this.#refused.has(tier) || slots <= pool.committed || slots <= this.#asked[tier]) return
    this.#asked[tier] = slots
    this.#engine.grow(tier, slots)
  }
}
