// A dram slot that does not hold what was put there: its block is found there no more, and the slot is not used again.

import type { Block } from '../../directory/block.js'
import type { TransferDone } from '../../engine/types.js'
import type { Core } from '../core/core.js'

/** Whether a transfer failed because of what lies in dram. */
export const isDramDamage = ({ error }: Pick<TransferDone, 'error'>): boolean => error === 'dram_damaged'

/** Whether it failed only because it was in one batch with such a transfer. */
export const isBesideDamage = ({ error }: Pick<TransferDone, 'error'>): boolean => error === 'batch_damaged'

/** The transfer named `slot` for the block, and may have ended long after the block left it. */
export function quarantine({ directory, counters, events, options }: Core, block: Block, slot: number): void {
  const { dram } = block.copies
  if (block.gone || dram.state === 'absent' || dram.slot !== slot) return
  directory.pools.dram.retire(slot)
  directory.removeCopy(block, 'dram', 'damaged')
  if (block.gone) counters.dropped.damaged++
  options.onFault({ message: 'memory has changed what was stored in it', code: 'dram_damaged', context: { dram_slot: slot, retired_slots: directory.pools.dram.retired } })
  if (!block.gone) events.emit('dramLost', block)
}
