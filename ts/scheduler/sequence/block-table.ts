// One entry of a sequence's block table: a block that is shared through the directory, or a slot of the sequence's own.

import type { Block } from '../../directory/block.js'
import type { Reservation } from '../../directory/reservation.js'

/** `slot` is one of hbm. Of `block` and `own` one is null. */
export type TableEntry =
  | { readonly slot: number; readonly block: Block; readonly own: null }
  | { readonly slot: number; readonly block: null; readonly own: Reservation }

/** The block's hbm copy, which is filling or present. */
export function sharedEntry(block: Block): TableEntry {
  return { slot: block.copies.hbm.slot, block, own: null }
}

export function ownEntry(own: Reservation): TableEntry {
  return { slot: own.slot, block: null, own }
}
