// Memory of the tiers as the simulated engine takes it: step by step, each told, until a step is refused.

import type { Clock } from '../clock.js'
import type { TierCommitted, MemoryTierName, SlotTierName, Transfer } from '../types.js'
import { perMemoryTier } from '../../protocol/tiers.js'
import { ContractViolation } from './hazards.js'
import type { SimulatedMemory } from './options.js'

type Slots = Readonly<Record<MemoryTierName, number>>

/** Slots whose memory is there at the start. */
export function committedAtStart(slots: Readonly<Record<SlotTierName, number>>, memory: SimulatedMemory | null): Slots {
  return perMemoryTier(tier => Math.min(slots[tier], memory?.atStart ?? slots[tier]))
}

export class TierMemory {
  readonly #memory: SimulatedMemory | null
  readonly #slots: Slots
  readonly #clock: Clock
  readonly #tell: (event: TierCommitted) => void
  readonly #committed: Record<MemoryTierName, number>
  readonly #wanted = perMemoryTier(() => 0)

  constructor(memory: SimulatedMemory | null, slots: Readonly<Record<SlotTierName, number>>, clock: Clock, tell: (event: TierCommitted) => void) {
    this.#memory = memory
    this.#slots = slots
    this.#clock = clock
    this.#tell = tell
    this.#committed = { ...committedAtStart(slots, memory) }
  }

  /** Throws where a plan or transfer names a slot that has no memory. */
  check(tier: SlotTierName, slot: number): void {
    if (tier === 'ssd' || slot < this.#committed[tier]) return
    throw new ContractViolation(`slot ${slot} of ${tier} is named, and ${this.#committed[tier]} have memory`)
  }

  checkNamed(transfer: Transfer): void {
    if ('dramSlot' in transfer) this.check('dram', transfer.dramSlot)
    if ('hbmSlot' in transfer) this.check('hbm', transfer.hbmSlot)
    if (transfer.kind === 'copy') this.check('hbm', transfer.toHbmSlot)
  }

  grow(tier: MemoryTierName, slots: number): void {
    const isUnderWay = this.#wanted[tier] > this.#committed[tier]
    this.#wanted[tier] = Math.max(this.#wanted[tier], Math.min(slots, this.#slots[tier]))
    if (!isUnderWay) this.#next(tier)
  }

  #next(tier: MemoryTierName): void {
    if (this.#memory === null || this.#committed[tier] >= this.#wanted[tier]) return
    const { stepSlots, stepMs, most } = this.#memory
    this.#clock.after(stepMs, () => {
      const slots = Math.min(this.#wanted[tier], this.#committed[tier] + stepSlots)
      if (slots > most(tier)) {
        this.#wanted[tier] = 0
        this.#tell({ kind: 'memory', tier, slots: this.#committed[tier], error: 'memory_low', detail: `${most(tier)} slots can be had` })
        return
      }
      this.#committed[tier] = slots
      this.#tell({ kind: 'memory', tier, slots })
      this.#next(tier)
    })
  }
}
