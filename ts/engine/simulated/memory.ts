// Memory of the tiers, and room on the disk, as the simulated engine takes it: step by step, each told, until a step is
// refused.

import type { EngineEvent, SlotTierName, Transfer } from '../types.js'
import { perSlotTier, SLOT_TIERS } from '../../protocol/tiers.js'
import { ContractViolation } from './hazards.js'
import type { SimulatedOptions } from './options.js'

type Slots = Readonly<Record<SlotTierName, number>>

/** Slots that are there at the start. Of ssd also what lies on the disk already, and nothing for which others had to give way. */
export function committedAtStart({ slots, memory, disk }: SimulatedOptions): Slots {
  disk.served()
  const committed = perSlotTier(tier => Math.min(slots[tier], memory === null ? slots[tier] : Math.min(memory.atStart, memory.most(tier))))
  const others = memory === null ? 0 : disk.foreign.reduce((sum, foreign) => sum + foreign.slots, 0)
  const ssd = Math.min(slots.ssd, Math.max(disk.committed, Math.min(committed.ssd, slots.ssd - others)))
  disk.commit(ssd, slots.ssd)
  return { ...committed, ssd }
}

export class TierMemory {
  readonly #options: SimulatedOptions
  readonly #tell: (event: EngineEvent) => void
  readonly #committed: Record<SlotTierName, number>
  readonly #wanted = perSlotTier(() => 0)

  /** @param committed Slots that are there. */
  constructor(options: SimulatedOptions, committed: Slots, tell: (event: EngineEvent) => void) {
    this.#options = options
    this.#tell = tell
    this.#committed = { ...committed }
  }

  /** Throws where a plan or transfer names a slot that has no memory, or no room on the disk. */
  check(tier: SlotTierName, slot: number): void {
    if (slot < this.#committed[tier]) return
    throw new ContractViolation(`slot ${slot} of ${tier} is named, and ${this.#committed[tier]} are there`)
  }

  checkNamed(transfer: Transfer): void {
    for (const tier of SLOT_TIERS) {
      const slot = (transfer as Partial<Record<`${SlotTierName}Slot`, number>>)[`${tier}Slot`]
      if (slot !== undefined) this.check(tier, slot)
    }
    if (transfer.kind === 'copy') this.check('hbm', transfer.toHbmSlot)
  }

  grow(tier: SlotTierName, slots: number): void {
    const isUnderWay = this.#wanted[tier] > this.#committed[tier]
    this.#wanted[tier] = Math.max(this.#wanted[tier], Math.min(slots, this.#options.slots[tier]))
    if (!isUnderWay) this.#next(tier)
  }

  #next(tier: SlotTierName): void {
    const { memory, clock } = this.#options
    if (memory === null || this.#committed[tier] >= this.#wanted[tier]) return
    clock.after(memory.stepMs, () => {
      const most = memory.most(tier)
      const slots = Math.min(this.#wanted[tier], this.#committed[tier] + memory.stepSlots)
      if (slots > most) {
        this.#wanted[tier] = 0
        const error = tier === 'ssd' ? 'kv_no_space' : 'memory_low'
        this.#tell({ kind: 'committed', tier, slots: this.#committed[tier], error, detail: `${most} slots can be had` })
        return
      }
      if (tier === 'ssd') this.#takeDisk(slots)
      this.#committed[tier] = slots
      this.#tell({ kind: 'committed', tier, slots })
      this.#next(tier)
    })
  }

  #takeDisk(slots: number): void {
    const { disk, slots: { ssd } } = this.#options
    for (const givenUp of disk.commit(slots, ssd)) this.#tell({ kind: 'given_up', ...givenUp, bytes: 0 })
  }
}
